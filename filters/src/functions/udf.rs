//! The functions as DataFusion scalar functions.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float32Array, Int64Array, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::{Function, Kernel, functions, language};
use crate::language::LanguageDetector;
use crate::urls::BlockList;

/// Every function of the [`catalogue`](super::catalogue).
///
/// They take `Utf8`, `LargeUtf8` and `Utf8View`, give null for null, and are immutable, so that a plan with constant
/// arguments has them folded.
pub fn all_udfs() -> Vec<Arc<ScalarUDF>> {
    functions().into_iter().map(|function| udf(function, String::new())).collect()
}

/// Registers every function of the [`catalogue`](super::catalogue), in place of any of the same name.
///
/// # Errors
/// What the registry says; a [`SessionContext`](datafusion::prelude::SessionContext) takes them all.
pub fn register_all(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for udf in all_udfs() {
        registry.register_udf(udf)?;
    }
    Ok(())
}

/// `lang` and `lang_score` by a detector of one's own, to be registered in place of the built-in ones.
///
/// Called by name like those, so every process that runs the plan must register the same detector.
pub fn language_udfs(detector: &Arc<dyn LanguageDetector>) -> Vec<Arc<ScalarUDF>> {
    language::by(detector).into_iter().map(|function| udf(function, detector.id().to_owned())).collect()
}

/// `blocked(url)`: the name of the list that the URL is on, null where it is on none.
pub fn block_list_udf(list: Arc<BlockList>) -> Arc<ScalarUDF> {
    let identity = format!("{:p}", Arc::as_ptr(&list));
    let check: Arc<super::TextKernel> = Arc::new(move |url| list.check(url).map(|blocked| Cow::Owned(blocked.list().to_owned())));
    let doc = "the name of the block list that the url is on, or null";
    udf(Function::new("blocked", &["url"], Kernel::Text(check), doc), identity)
}

fn udf(function: Function, identity: String) -> Arc<ScalarUDF> {
    let signature = Signature::string(function.doc.args.len(), Volatility::Immutable);
    Arc::new(ScalarUDF::from(FilterUdf { function, identity, signature }))
}

/// One function in DataFusion's terms.
struct FilterUdf {
    function: Function,
    /// Tells functions of one name apart that judge by different models or lists.
    identity: String,
    signature: Signature,
}

impl fmt::Debug for FilterUdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(type_name::<Self>()).field("name", &self.function.doc.name).field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl PartialEq for FilterUdf {
    fn eq(&self, other: &Self) -> bool {
        self.function.doc == other.function.doc && self.identity == other.identity
    }
}

impl Eq for FilterUdf {}

impl Hash for FilterUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.doc.name.hash(state);
        self.identity.hash(state);
    }
}

impl ScalarUDFImpl for FilterUdf {
    fn name(&self) -> &str {
        self.function.doc.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.function.kernel {
            Kernel::Int(_) => DataType::Int64,
            Kernel::Float(_) => DataType::Float32,
            Kernel::Bool(_) => DataType::Boolean,
            Kernel::Text(_) | Kernel::Pair(_) => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = self.evaluate(&arrays)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl FilterUdf {
    fn evaluate(&self, arrays: &[ArrayRef]) -> Result<ArrayRef> {
        let [first, rest @ ..] = arrays else {
            return internal_err!("{} without arguments", self.name());
        };
        let texts = strings(first)?;
        Ok(match &self.function.kernel {
            Kernel::Int(f) => Arc::new(texts.map(|text| text.map(|text| f(text))).collect::<Int64Array>()),
            Kernel::Float(f) => Arc::new(texts.map(|text| text.map(|text| f(text))).collect::<Float32Array>()),
            Kernel::Bool(f) => Arc::new(texts.map(|text| text.map(|text| f(text))).collect::<BooleanArray>()),
            Kernel::Text(f) => self.collect(first.len(), texts.map(|text| text.and_then(|text| f(text))))?,
            Kernel::Pair(f) => {
                let [second] = rest else {
                    return internal_err!("{} takes two arguments", self.name());
                };
                let pairs = texts.zip(strings(second)?);
                let results = pairs.map(|(a, b)| Some(Cow::Owned(f(a?, b?))));
                self.collect(first.len(), results)?
            }
        })
    }

    fn collect<'a>(&self, rows: usize, values: impl Iterator<Item = Option<Cow<'a, str>>>) -> Result<ArrayRef> {
        let mut builder = StringBuilder::with_capacity(rows, rows * 16);
        for value in values {
            // The builder panics where the offsets of Utf8 overflow.
            let len = value.as_ref().map_or(0, |text| text.len());
            if builder.values_slice().len() + len > i32::MAX as usize {
                return exec_err!("{}: over 2 GiB of text in one batch; use smaller batches", self.name());
            }
            builder.append_option(value);
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// The strings of an array of any string type.
fn strings(array: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<&str>> + '_>> {
    match array.data_type() {
        DataType::Utf8 => Ok(Box::new(array.as_string::<i32>().iter())),
        DataType::LargeUtf8 => Ok(Box::new(array.as_string::<i64>().iter())),
        DataType::Utf8View => Ok(Box::new(array.as_string_view().iter())),
        DataType::Null => Ok(Box::new((0..array.len()).map(|_| None))),
        other => exec_err!("a string is needed, not {other}"),
    }
}
