//! HTTP/1.1 over a socket, no more than the tests need.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Act, State, s3};

/// One request, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// An error as S3 gives it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::of(status, format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as told</Message></Error>"))
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

pub(crate) async fn serve(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // A client that goes away is part of the tests.
            let _ = converse(socket, &state).await;
        });
    }
}

async fn converse(mut socket: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut socket, &mut buffer).await? {
        let (fault, pause) = {
            let mut state = state.lock().unwrap();
            state.log.push((request.method.clone(), request.target.clone(), Instant::now()));
            state.busy += 1;
            state.busiest = state.busiest.max(state.busy);
            let applies =
                |fault: &&mut super::Fault| fault.times > 0 && fault.method == request.method && request.target.contains(fault.part);
            let act = state.faults.iter_mut().find(applies).map(|fault| {
                fault.times -= 1;
                fault.act.clone()
            });
            (act, state.pause)
        };
        let outcome = async {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let mut answer = match &fault {
                Some(Act::Answer(answer)) => answer.clone(),
                Some(Act::Silence) => {
                    // Until the client has had enough.
                    let _ = socket.read(&mut [0; 1]).await;
                    return Ok(false);
                }
                Some(Act::Hang) => return Ok(false),
                _ => s3::answer(&request, &mut state.lock().unwrap()),
            };
            if matches!(fault, Some(Act::DoAndHang)) {
                return Ok(false);
            }
            let length = answer.body.len();
            if let Some(Act::Cut(bytes)) = fault {
                answer.body.truncate(bytes);
            }
            let mut head = format!("HTTP/1.1 {} Said\r\n", answer.status);
            if !answer.headers.iter().any(|(name, _)| name == "content-length") {
                head += &format!("content-length: {length}\r\n");
            }
            for (name, value) in &answer.headers {
                head += &format!("{name}: {value}\r\n");
            }
            head += "\r\n";
            socket.write_all(head.as_bytes()).await?;
            if request.method != "HEAD" {
                socket.write_all(&answer.body).await?;
            }
            Ok::<_, std::io::Error>(!matches!(fault, Some(Act::Cut(_))))
        }
        .await;
        state.lock().unwrap().busy -= 1;
        if !outcome? {
            return Ok(());
        }
    }
    Ok(())
}

async fn read(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned())).collect();
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length: usize = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer.drain(..length).collect();
    Ok(Some(request))
}
