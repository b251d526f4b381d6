//! The kernel against every combination of what it can be asked, and against a second writing of its rules.

mod enumeration;
mod forms;
mod laws;
mod second_writing;
