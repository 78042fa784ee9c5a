//! A scripted endpoint, name server and broker in one, for answers that no real broker gives when
//! asked to. Speaks the remoting protocol's frame with a JSON header and knows nothing else.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Request codes as on the wire.
pub(super) const SEND: i32 = 310;
pub(super) const PULL: i32 = 11;
const MIN_OFFSET: i32 = 31;
const ROUTE: i32 = 105;
const CLUSTER: i32 = 106;

pub(super) struct Request {
    pub(super) code: i32,
    pub(super) fields: HashMap<String, String>,
}

pub(super) enum Reply {
    Answer {
        code: i32,
        fields: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Never answers, but keeps the connection.
    Silence,
    /// Ends the connection.
    Disconnect,
}

pub(super) fn answer(code: i32, fields: &[(&'static str, u64)]) -> Reply {
    let fields = fields
        .iter()
        .map(|(name, value)| (*name, value.to_string()))
        .collect();
    Reply::Answer {
        code,
        fields,
        body: Vec::new(),
    }
}

type Script = Arc<Mutex<dyn FnMut(&Request) -> Reply + Send>>;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    script: Script,
    /// While set, nothing is answered at all, as by a server that is starting.
    pub(super) mute: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Routes to topic "t", and whether anybody is there, are answered by the server itself, all
    /// else by the script.
    pub(super) async fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self {
            address,
            script: Arc::new(Mutex::new(script)),
            mute: Arc::default(),
            listening: None,
        };
        server.listen(listener);
        server
    }

    fn listen(&mut self, listener: TcpListener) {
        let (script, mute) = (Arc::clone(&self.script), Arc::clone(&self.mute));
        let address = self.address;
        self.listening = Some(tokio::spawn(async move {
            // Connections end with the listener.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, mute) = (Arc::clone(&script), Arc::clone(&mute));
                connections.spawn(async move { drop(serve(stream, script, mute, address).await) });
            }
        }));
    }

    /// Ends every connection and refuses new ones.
    pub(super) async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            assert!(listening.await.is_err());
        }
    }

    pub(super) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.listen(listener);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Script,
    mute: Arc<AtomicBool>,
    address: SocketAddr,
) -> io::Result<()> {
    loop {
        let length = stream.read_u32().await? as usize;
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).await?;
        let header_length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize & 0xff_ffff;
        let header: serde_json::Value = serde_json::from_slice(&frame[4..4 + header_length])?;
        let code = i32::try_from(header["code"].as_i64().unwrap()).unwrap();
        let fields = header["extFields"].as_object().into_iter().flatten();
        let fields = fields.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()));
        let request = Request {
            code,
            fields: fields.collect(),
        };
        let reply = match code {
            _ if mute.load(Ordering::SeqCst) => Reply::Silence,
            ROUTE | CLUSTER => routes(code, address),
            MIN_OFFSET => answer(0, &[("offset", 0)]),
            _ => (script.lock().unwrap())(&request),
        };
        let (code, fields, body) = match reply {
            Reply::Answer { code, fields, body } => (code, fields, body),
            Reply::Silence => continue,
            Reply::Disconnect => return Ok(()),
        };
        let fields: HashMap<&str, String> = fields.into_iter().collect();
        let header = serde_json::json!({
            "code": code, "flag": 1, "language": "JAVA", "opaque": header["opaque"], "version": 0,
            "serializeTypeCurrentRPC": "JSON", "extFields": fields, "remark": "scripted",
        });
        let header = serde_json::to_vec(&header)?;
        stream
            .write_u32(u32::try_from(4 + header.len() + body.len()).unwrap())
            .await?;
        stream
            .write_u32(u32::try_from(header.len()).unwrap())
            .await?;
        stream.write_all(&header).await?;
        stream.write_all(&body).await?;
    }
}

fn routes(code: i32, address: SocketAddr) -> Reply {
    let broker = serde_json::json!({
        "cluster": "c", "brokerName": "b", "brokerAddrs": {"0": address.to_string()},
        "enableActingMaster": false,
    });
    let body = if code == ROUTE {
        serde_json::json!({
            "brokerDatas": [broker], "filterServerTable": {}, "queueDatas": [{
                "brokerName": "b", "perm": 6, "readQueueNums": 1, "writeQueueNums": 1,
                "topicSysFlag": 0,
            }],
        })
    } else {
        serde_json::json!({"brokerAddrTable": {"b": broker}, "clusterAddrTable": {"c": ["b"]}})
    };
    Reply::Answer {
        code: 0,
        fields: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}
