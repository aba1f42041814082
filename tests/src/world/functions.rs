//! The processes that the emulator runs functions in.

use std::path::Path;

use rustix::process::{Pid, Signal};

use super::World;

impl World {
    /// Kills every process in which this world's emulator runs `function`, as it is deployed; how many there were.
    pub fn kill_function(&self, function: &str) -> usize {
        // The folder is this world's alone (see `ministack`): another world's function of the same name is left alone.
        let folder = self.run().scratch().join("tmp");
        let of_world = format!("TMPDIR={}", folder.display());
        let wanted = [of_world, format!("AWS_LAMBDA_FUNCTION_NAME={function}")];
        let mut killed = 0;
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = process.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            let Some(pid) = pid else { continue };
            let environment =
                std::fs::read(Path::new("/proc").join(&name).join("environ")).unwrap_or_default();
            let says = |wanted: &String| {
                environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            };
            // One that has ended meanwhile needs no killing.
            if wanted.iter().all(says) && rustix::process::kill_process(pid, Signal::KILL).is_ok() {
                killed += 1;
            }
        }
        killed
    }
}
