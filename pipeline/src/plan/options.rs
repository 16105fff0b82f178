//! What of a job travels with its plans to other processes.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::common::{DataFusionError, Result};

/// Settings of a job that an operation needs wherever it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// The job's output: a folder that every machine sees, or a url.
    pub output: String,
}

impl ConfigExtension for JobOptions {
    const PREFIX: &'static str = "trommel";
}

// By hand: the entries that DataFusion's macro makes lack the prefix, and what has none is lost on its way.
impl ExtensionOptions for JobOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "output" => value.clone_into(&mut self.output),
            _ => return Err(DataFusionError::Configuration(format!("`trommel.{key}` is no option"))),
        }
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let description = "the job's output";
        vec![ConfigEntry { key: "trommel.output".into(), value: Some(self.output.clone()), description }]
    }
}
