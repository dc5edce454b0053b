//! Templates that are refused, and the Job that comes of one that is not.

use serde_json::json;

use super::super::names::tests::{event, owner};
use super::*;

const GOOD: &str = "
apiVersion: batch/v1
kind: Job
metadata: { labels: { team: ci } }
spec:
  template:
    spec:
      nodeSelector: { disk: ssd }
      containers:
        - name: work
          image: registry.example/build:1
          volumeMounts: [{ name: cache, mountPath: /cache }]
      volumes: [{ name: cache, emptyDir: {} }]
";

fn job(template: &JobTemplate) -> Value {
    let command = ["/bin/sh".to_owned(), "run.sh".to_owned()];
    let job = template.job(&owner("yard"), &event(7, 2, 1), &command, Duration::from_secs(60));
    serde_json::to_value(job).unwrap()
}

#[test]
fn a_job_is_the_template_and_what_makes_an_attempt_of_it() {
    let template = JobTemplate::parse(GOOD).unwrap();
    assert_eq!(template.container(), "work");
    let job = job(&template);
    let name = owner("yard").run(&event(7, 2, 1));
    assert_eq!(job["metadata"]["name"], *name);
    let labels = json!({
        "app.kubernetes.io/managed-by": "dispatchyard",
        "dispatchyard/owner": "yard", "dispatchyard/installation": "0a1b2c3d",
        "dispatchyard/executor": "cloud",
        "dispatchyard/run": name, "dispatchyard/job": "7", "dispatchyard/attempt": "2",
    });
    assert_eq!(job["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(job["metadata"]["labels"]["team"], "ci");
    let spec = &job["spec"];
    let set = ["backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"];
    assert_eq!(set.map(|key| spec[key].as_i64()), [Some(0), Some(151), Some(60)]);
    assert_eq!(spec["podReplacementPolicy"], "Failed");
    let pod = &spec["template"]["spec"];
    assert_eq!(
        (&pod["restartPolicy"], &pod["nodeSelector"]["disk"]),
        (&json!("Never"), &json!("ssd"))
    );
    let container = &pod["containers"][0];
    assert_eq!(container["command"], json!(["/bin/sh", "run.sh"]));
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounts: Vec<_> = mounts.iter().map(|it| it["mountPath"].as_str().unwrap()).collect();
    assert_eq!(mounts, ["/cache", FILES, WORK]);
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], *name);
}

#[test]
fn without_a_template_a_pod_has_little_and_no_rights() {
    let form = PodForm {
        image: "busybox".to_owned(),
        service_account: None,
        cpu_milli: Some(500),
        memory_mb: Some(256),
    };
    let job = job(&JobTemplate::of(&form));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let resources = json!({
        "requests": { "cpu": "500m", "memory": "256Mi" }, "limits": { "memory": "256Mi" },
    });
    assert_eq!(pod["containers"][0]["resources"], resources);
}

#[test]
fn a_template_that_would_make_no_attempt_is_refused() {
    let with = |from: &str, to: &str| JobTemplate::parse(&GOOD.replace(from, to)).unwrap_err();
    let spec = |more: &str| with("spec:\n  template:", &format!("spec:\n  {more}\n  template:"));
    let all = [
        with("image:", "imge:"),
        with("nodeSelector:", "nodeSelektor:"),
        with("kind: Job", "kind: Pod"),
        with("labels: { team: ci }", "name: mine"),
        with("labels: { team: ci }", "namespace: mine"),
        with("name: cache, emptyDir", "name: dispatchyard, emptyDir"),
        with("image: registry.example/build:1", "command: [make]\n          image: x"),
        with("nodeSelector: {", "restartPolicy: OnFailure\n      nodeSelector: {"),
        spec("backoffLimit: 3"),
        spec("completions: 2"),
        spec("backoffLimit: x"),
        JobTemplate::parse("- 1").unwrap_err(),
        JobTemplate::parse("apiVersion: batch/v1\nkind: Job").unwrap_err(),
        JobTemplate::parse("a: [").unwrap_err(),
    ];
    let all: Vec<_> =
        all.iter().map(|it| it.to_string().lines().next().unwrap().to_owned()).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    the template: there is no field `spec.template.spec.containers.0.imge`
    the template: there is no field `spec.template.spec.nodeSelektor`
    the template: invalid value: string "Pod", expected Job
    the template: `metadata.name` must be absent: each has its own
    the template: `metadata.namespace` must be absent: set `namespace` beside it
    the template: a volume must not be called `dispatchyard`
    the template: `command` must be absent: the first container is given its own
    the template: `restartPolicy` must be "Never" or absent, not "OnFailure"
    the template: `spec.backoffLimit` must be 0 or absent, not 3
    the template: `spec.completions` must be 1 or absent, not 2
    the template: invalid type: string "x", expected i32
    the template: invalid type: sequence, expected Job
    the template: there is no `spec`
    the template: error: line 1 column 4: unclosed bracket '['
    "#);
}
