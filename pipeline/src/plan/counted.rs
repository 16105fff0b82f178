//! For tests: how often a job calls each function, on whatever engine.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use parking_lot::Mutex;

use super::JobOptions;

/// Rows by output and function: tests that run beside each other have outputs of their own.
static ROWS: LazyLock<Mutex<BTreeMap<String, BTreeMap<String, u64>>>> = LazyLock::new(Mutex::default);

/// Rows that the job with this output has given to each function; constants that the planner folds are none.
pub(crate) fn rows_of(output: &str) -> BTreeMap<String, u64> {
    ROWS.lock().get(output).cloned().unwrap_or_default()
}

/// The function, counting.
pub(super) fn counted(function: ScalarUDF) -> ScalarUDF {
    ScalarUDF::new_from_impl(Counted(function))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted(ScalarUDF);

impl ScalarUDFImpl for Counted {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let output = args.config_options.extensions.get::<JobOptions>().map(|options| options.output.clone());
        if args.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_))) {
            let mut rows = ROWS.lock();
            *rows.entry(output.unwrap_or_default()).or_default().entry(self.0.name().to_owned()).or_default() += args.number_rows as u64;
        }
        self.0.invoke_with_args(args)
    }
}
