//! What S3 does with a request, as far as this project asks.

use super::{Answer, BUCKET, Object, Request, State, Upload};

pub(crate) fn answer(request: &Request, state: &mut State) -> Answer {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let get = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let path = decode(path);
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    if bucket != BUCKET {
        return Answer::error(404, "NoSuchBucket");
    }
    if !state.keys.is_empty() {
        let known = request.header("authorization").is_some_and(|a| state.keys.iter().any(|key| a.contains(&format!("Credential={key}/"))));
        if !known {
            return Answer::error(403, "InvalidAccessKeyId");
        }
    }
    let metadata = || request.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-")).cloned().collect::<Vec<_>>();
    match (request.method.as_str(), key) {
        ("GET", "") if get("uploads").is_some() => uploads(state, get("prefix").unwrap_or_default()),
        ("GET", "") => list(state, get("prefix").unwrap_or_default(), get("continuation-token")),
        ("POST", _) if get("delete").is_some() => delete_many(request, state),
        ("POST", _) if get("uploads").is_some() => {
            state.next += 1;
            let id = format!("upload-{}", state.next);
            state.uploads.insert(id.clone(), Upload { key: key.to_owned(), metadata: metadata(), ..Upload::default() });
            Answer::of(
                200,
                format!(
                    "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
                    xml(key)
                ),
            )
        }
        ("POST", _) => complete(request, state, get("uploadId").unwrap_or_default()),
        ("PUT", _) if get("uploadId").is_some() => {
            let number = get("partNumber").and_then(|text| text.parse().ok()).unwrap_or(0);
            let tag = e_tag(&request.body);
            match state.uploads.get_mut(get("uploadId").unwrap_or_default()) {
                Some(upload) => {
                    upload.parts.insert(number, request.body.clone());
                    Answer::of(200, "").with("etag", tag)
                }
                None => Answer::error(404, "NoSuchUpload"),
            }
        }
        ("PUT", _) => {
            if request.header("if-none-match") == Some("*") && state.objects.contains_key(key) {
                return Answer::error(412, "PreconditionFailed");
            }
            let object = Object { e_tag: e_tag(&request.body), bytes: request.body.clone(), metadata: metadata() };
            let tag = object.e_tag.clone();
            state.objects.insert(key.to_owned(), object);
            Answer::of(200, "").with("etag", tag)
        }
        ("DELETE", _) => match get("uploadId") {
            Some(id) if state.uploads.remove(id).is_none() => Answer::error(404, "NoSuchUpload"),
            Some(_) => Answer::of(204, ""),
            None => {
                state.objects.remove(key);
                Answer::of(204, "")
            }
        },
        ("GET" | "HEAD", _) => read(request, state, key),
        _ => Answer::error(405, "MethodNotAllowed"),
    }
}

fn read(request: &Request, state: &State, key: &str) -> Answer {
    let Some(object) = state.objects.get(key) else { return Answer::error(404, "NoSuchKey") };
    let total = object.bytes.len();
    let range = request.header("range").filter(|_| !state.no_ranges).and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let mut answer = match range {
        None => Answer::of(200, object.bytes.clone()),
        Some((start, end)) => {
            let start: usize = start.parse().unwrap_or(0);
            let end = end.parse().map_or(total, |end: usize| (end + 1).min(total));
            if start >= total {
                return Answer::error(416, "InvalidRange");
            }
            Answer::of(206, object.bytes[start..end].to_vec()).with("content-range", format!("bytes {start}-{}/{total}", end - 1))
        }
    };
    answer.headers.extend(object.metadata.clone());
    answer.with("etag", &object.e_tag).with("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")
}

/// Three keys a page, so that every listing of more has pages.
fn list(state: &State, prefix: &str, after: Option<&str>) -> Answer {
    let mut keys = state.objects.iter().filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
    let page: Vec<_> = keys.by_ref().take(3).collect();
    let next = keys.next().and(page.last()).map(|(key, _)| key.as_str());
    let mut text = format!("<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>{}</IsTruncated>", next.is_some());
    if let Some(next) = next {
        text += &format!("<NextContinuationToken>{}</NextContinuationToken>", xml(next));
    }
    for (key, object) in page {
        text += &format!(
            "<Contents><Key>{}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            xml(key),
            xml(&object.e_tag),
            object.bytes.len()
        );
    }
    Answer::of(200, text + "</ListBucketResult>")
}

fn uploads(state: &State, prefix: &str) -> Answer {
    let mut text = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>".to_owned();
    for (id, upload) in state.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix)) {
        text += &format!("<Upload><Key>{}</Key><UploadId>{id}</UploadId></Upload>", xml(&upload.key));
    }
    Answer::of(200, text + "</ListMultipartUploadsResult>")
}

fn complete(request: &Request, state: &mut State, id: &str) -> Answer {
    let Some(upload) = state.uploads.get(id) else { return Answer::error(404, "NoSuchUpload") };
    let text = String::from_utf8_lossy(&request.body);
    let numbers: Vec<u32> = text.split("<PartNumber>").skip(1).filter_map(|rest| rest.split('<').next()?.parse().ok()).collect();
    let mut bytes = Vec::new();
    for number in &numbers {
        match upload.parts.get(number) {
            Some(part) => bytes.extend_from_slice(part),
            None => return Answer::error(400, "InvalidPart"),
        }
    }
    let object = Object { e_tag: e_tag(&bytes), bytes, metadata: upload.metadata.clone() };
    let (key, tag) = (upload.key.clone(), object.e_tag.clone());
    state.objects.insert(key, object);
    state.uploads.remove(id);
    Answer::of(200, format!("<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>", xml(&tag)))
}

fn delete_many(request: &Request, state: &mut State) -> Answer {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let mut deleted = "<DeleteResult>".to_owned();
    for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
        state
            .objects
            .remove(&key.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'").replace("&quot;", "\""));
        deleted += &format!("<Deleted><Key>{key}</Key></Deleted>");
    }
    Answer::of(200, deleted + "</DeleteResult>")
}

fn e_tag(bytes: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(bytes).to_hex()[..32])
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let hex = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
