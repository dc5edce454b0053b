//! Mistakes that a reader could pass over, and that are refused.

use super::tests::faults;
use super::*;

/// As GitHub refuses them.
#[test]
fn what_would_be_passed_over_is_refused_at_its_place() {
    let text = "\
on:
  push: { branches: [main] }
  pull_request:
    types: [opened, nope]
  schedule: [{ cron: '61 * * * *' }]
permissions: { contents: read, nope: write, issues: admin, id-token: read }
jobs:
  a:
    runs-on: x
    permissions: read
    strategy:
      matrix:
        os: [l]
        OS: [m]
    steps: [{ id: s, run: ls }, { id: S, run: ls }, { id: __x, run: ls }]
  A:
    runs-on: x
    strategy: { matrix: { os: [l], exclude: [{ nokey: 1 }] } }
    steps: [{ run: ls }]
  __b: { runs-on: x, permissions: [], steps: [{ run: ls }] }
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:4:21: on.pull_request.types[1]: no activity type is `nope`; `pull_request` has assigned, unassigned, labeled, unlabeled, opened, edited, closed, reopened, synchronize, converted_to_draft, locked, unlocked, enqueued, dequeued, milestoned, demilestoned, ready_for_review, review_requested, review_request_removed, auto_merge_enabled, auto_merge_disabled, stacked
    ci.yml:5:14: on.schedule[0]: minute: 61 is not from 0 to 59; write a number from 0 to 59
    ci.yml:6:32: permissions.nope: there is no such permission; known are actions, artifact-metadata, attestations, checks, contents, deployments, discussions, id-token, issues, models, packages, pages, pull-requests, repository-projects, security-events, statuses, vulnerability-alerts
    ci.yml:6:53: permissions.issues: it is none of read, write, none
    ci.yml:6:70: permissions.id-token: it is none of write, none
    ci.yml:10:18: jobs.a.permissions: it is neither a mapping nor `read-all` or `write-all`; write `contents: read` below it, or `{}` for none
    ci.yml:14:9: jobs.a.strategy.matrix: OS: the key is there already, as `os`
    ci.yml:15:33: jobs.a.steps[1].id: another step has the id `S`
    ci.yml:15:59: jobs.a.steps[2].id: `__x`: ids that begin with `__` are reserved
    ci.yml:16:3: jobs.A: another job has this id, as `a`
    ci.yml:18:36: jobs.A.strategy.matrix: exclude[0]: `nokey` is no key of the matrix
    ci.yml:20:3: jobs.__b: `__b`: ids that begin with `__` are reserved
    ci.yml:20:35: jobs.__b.permissions: it is neither a mapping nor `read-all` or `write-all`; write `contents: read` below it, or `{}` for none
    ");
}

#[test]
fn ids_have_no_case() {
    let text = "jobs:\n  Build: { runs-on: x, steps: [{ run: ls }] }\n  b: { needs: build, runs-on: x, steps: [{ run: ls }] }\n";
    let file = File::parse("ci.yml", text, Policy::default()).unwrap();
    assert_eq!(file.jobs[1].needs[0].value, "Build");
}
