//! The program as a child process.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Where the program lies: beside the test executable's folder, where a build of the whole workspace puts it.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let found = test.ancestors().nth(2).map(|folder| folder.join(format!("trommel{}", std::env::consts::EXE_SUFFIX)));
    match found {
        Some(path) if path.is_file() => path,
        other => panic!("the program is not built: expected it at {other:?}; run `make test`, or `cargo build --release --workspace`"),
    }
}

/// A call of the program.
#[derive(Debug)]
pub struct Trommel(Command);

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Trommel {
    /// A call with these arguments. The environment is the test's, without the program's own variables.
    pub fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TROMMEL_") {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// `trommel run RECIPE`.
    pub fn run(recipe: impl AsRef<OsStr>) -> Self {
        Self::new([OsStr::new("run"), recipe.as_ref()])
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// The call, wrapped in a shell script that ends in `exec "$@"` (limits, namespaces).
    #[must_use]
    pub fn in_shell(self, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg("sh").arg(self.0.get_program()).args(self.0.get_args());
        for (name, value) in self.0.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// Starts it.
    pub fn start(mut self) -> Child {
        self.0.spawn().expect("the program starts")
    }

    /// Runs it to its end.
    pub fn end(mut self) -> Done {
        self.0.output().expect("the program starts").into()
    }

    /// Runs it to its end, which has to be this exit code.
    pub fn ends_with(self, code: i32) -> Done {
        let call = format!("{:?}", self.0);
        let done = self.end();
        assert_eq!(done.code, Some(code), "{call}\n--- standard output\n{}\n--- standard error\n{}", done.out, done.err);
        done
    }

    /// Runs it with `--json` to its end, which has to be this exit code, and reads its report.
    pub fn report(self, code: i32) -> serde_json::Value {
        let done = self.arg("--json").ends_with(code);
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error} in\n{}", done.out))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Done {
    /// That standard error says all of these.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in\n{}", self.err);
        }
        self
    }
}
