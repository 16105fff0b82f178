//! Pictures that an archive holds, before the network is asked.

use std::sync::Arc;

use datafusion::common::Result;
use futures::StreamExt;
use futures::stream;

use super::job::{ImageJob, Row, Status};
use super::reorder::Reorder;
use super::{Emitter, FetchItem};
use crate::crawl::archive::ArchiveImages;
use crate::decoders::DecoderPool;

/// Reads and decodes at a time: archives lie on disks, so a few suffice.
const AT_ONCE: usize = 8;

enum Found {
    Row(Box<Row>),
    Missing,
}

/// Answers what the archives hold and gives back the rest; with `offline` the rest fails.
pub(super) async fn fetch(
    archives: &Arc<ArchiveImages>,
    wanted: Vec<FetchItem>,
    offline: bool,
    job: &Arc<ImageJob>,
    decoders: &Arc<DecoderPool>,
    reorder: &mut Reorder,
    emitter: &mut Emitter<'_>,
) -> Result<Vec<FetchItem>> {
    let mut left = Vec::new();
    let mut answers = stream::iter(wanted.into_iter().map(|item| {
        let archives = Arc::clone(archives);
        let job = Arc::clone(job);
        let decoders = Arc::clone(decoders);
        async move {
            let index = item.index as usize;
            let url = item.url.clone();
            let answer = decoders
                .run(move |processor| match archives.get(&url) {
                    Some(response) if response.status == 200 => Found::Row(Box::new(job.process(processor, index, &response.body))),
                    Some(response) => {
                        let code = format!("http_{:03}", response.status);
                        Found::Row(Box::new(Row::failed(
                            Status::FailedToDownload,
                            code,
                            format!("the archived answer is {}", response.status),
                        )))
                    }
                    None => Found::Missing,
                })
                .await
                .unwrap_or_else(|| Found::Row(Box::new(Row::decoder_panicked())));
            (item, answer)
        }
    }))
    .buffer_unordered(AT_ONCE);
    while let Some((item, answer)) = answers.next().await {
        match answer {
            Found::Row(row) => reorder.put(item.index as usize, *row)?,
            Found::Missing if offline => {
                reorder.put(item.index as usize, Row::failed(Status::FailedToDownload, "not_in_archive", "no archive holds this url"))?;
            }
            Found::Missing => left.push(item),
        }
        emitter.emit_ready(reorder).await?;
    }
    Ok(left)
}
