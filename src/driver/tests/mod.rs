//! The driver on its own thread, over a real database in a folder that disappears.

mod ahead;
mod disk;
mod faults;
mod keys;
mod lifecycle;
mod polls;
mod rig;
mod streams;
