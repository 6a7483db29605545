//! Golden records as Arrow batches. Stub.
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct RecordsError;
pub(crate) fn to_columns(_: &arrow_array::RecordBatch) -> Vec<crate::bindings::types::Column> {
    vec![]
}
/// stub
#[derive(Default)]
pub struct RecordOptions {
    /// x
    pub id_columns: Vec<String>,
    /// x
    pub format: Option<()>,
}
/// stub
pub struct InputFile {
    /// x
    pub path: std::path::PathBuf,
}
/// stub
pub struct RecordSource;
impl RecordSource {
    /// x
    pub fn open(_: &str, _: &std::path::Path, _: RecordOptions) -> Result<RecordSource, RecordsError> {
        Err(RecordsError)
    }
    /// x
    pub fn inputs(&self) -> &[InputFile] {
        &[]
    }
}
impl crate::planner::Records for RecordSource {
    fn next_batch(&mut self, _: usize) -> Result<Option<arrow_array::RecordBatch>, RecordsError> {
        Ok(None)
    }
}
