//! noq as a peer, in both roles, speaking what tests/interop/exchange.ts says. It prints JSON, one object a line: the server
//! `ready`, both `observed` for each address that they are told to have, the client `done`. It ends by itself after
//! `--seconds`.

mod exchange;
mod options;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use noq::{
    ClientConfig, Connection, ConnectionError, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming,
    ServerConfig, TokioRuntime, TransportConfig,
};
use options::Options;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinSet;
use tokio_stream::Stream;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// RFC 9369 §3.1.
const VERSION_2: u32 = 0x6b33_43cf;

/// How long to wait for what is to come back.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        println!("{{\"type\":\"error\",\"error\":{:?}}}", error.to_string());
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Failure> {
    let options = Options::read()?;
    let seconds = options.number("seconds")?;
    let role = async {
        match options.role.as_str() {
            "server" => server(&options).await,
            "client" => client(&options).await,
            other => Err(format!("{other} is no role").into()),
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), role).await?
}

/// Where to bind and to connect: `--ip`, or 127.0.0.1.
fn ip(options: &Options) -> Result<IpAddr, Failure> {
    if options.has("ip") { Ok(options.text("ip")?.parse()?) } else { Ok(Ipv4Addr::LOCALHOST.into()) }
}

fn transport(options: &Options) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    // Both roles of address discovery, or none.
    config.send_observed_address_reports(options.has("observe"));
    config.receive_observed_address_reports(options.has("observe"));
    Arc::new(config)
}

/// Connection IDs of eight random bytes, any of which may have been ours before: by itself noq tells its own from others', and
/// answers others with nothing.
struct AnyConnectionId;

impl ConnectionIdGenerator for AnyConnectionId {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; 8];
        SystemRandom::new().fill(&mut bytes).expect("random bytes");
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// An endpoint on a port, 0 for any: with `--reset-key` its stateless resets can be told from others' (RFC 9000 §10.3), with
/// `--version-2` it speaks no version that anybody else does.
fn endpoint(options: &Options, port: u64, server: Option<ServerConfig>) -> Result<Endpoint, Failure> {
    let mut config = EndpointConfig::default();
    if options.has("reset-key") {
        let key = hmac::Key::new(hmac::HMAC_SHA256, options.text("reset-key")?.as_bytes());
        config.reset_key(Arc::new(key));
        config.cid_generator(Arc::new(|| Box::new(AnyConnectionId)));
    }
    if options.has("version-2") {
        config.supported_versions(vec![VERSION_2]);
    }
    let socket = UdpSocket::bind(SocketAddr::new(ip(options)?, port.try_into()?))?;
    Ok(Endpoint::new(config, server, socket, Arc::new(TokioRuntime))?)
}

async fn server(options: &Options) -> Result<(), Failure> {
    let mut config = ServerConfig::with_crypto(Arc::new(tls::server(options)?));
    config.transport_config(transport(options));
    let endpoint = endpoint(options, options.number("port")?, Some(config))?;
    println!("{{\"type\":\"ready\",\"port\":{}}}", endpoint.local_addr()?.port());
    while let Some(incoming) = endpoint.accept().await {
        if options.has("retry") && incoming.may_retry() {
            incoming.retry()?;
        } else {
            tokio::spawn(serve_connection(incoming));
        }
    }
    Ok(())
}

async fn serve_connection(incoming: Incoming) -> Result<(), Failure> {
    let connection = incoming.await?;
    tokio::spawn(tell_observed(connection.clone()));
    tokio::spawn(return_datagrams(connection.clone()));
    loop {
        let (send, receive) = connection.accept_bi().await?;
        tokio::spawn(exchange::serve_stream(send, receive));
    }
}

async fn return_datagrams(connection: Connection) -> Result<(), Failure> {
    loop {
        connection.send_datagram(connection.read_datagram().await?)?;
    }
}

/// Says each address that the peer sees us at.
async fn tell_observed(connection: Connection) {
    let mut observed = connection.observed_external_addr();
    while let Some(address) = std::future::poll_fn(|context| Pin::new(&mut observed).poll_next(context)).await {
        println!("{{\"type\":\"observed\",\"address\":\"{address}\"}}");
    }
}

async fn client(options: &Options) -> Result<(), Failure> {
    let mut config = ClientConfig::new(Arc::new(tls::client(options)?));
    config.transport_config(transport(options));
    let local = SocketAddr::new(ip(options)?, 0);
    let endpoint = endpoint(options, 0, None)?;
    let remote = SocketAddr::new(ip(options)?, options.number("port")?.try_into()?);
    let connection = endpoint.connect_with(config, remote, "localhost")?.await?;
    tokio::spawn(tell_observed(connection.clone()));

    let mut results = vec![("echo", exchange::echo(&connection).await?)];
    if options.has("key-update") {
        connection.force_key_update();
        results.push(("keyUpdate", exchange::echo(&connection).await?));
    }
    if options.has("rebind") {
        // Another port in the middle of an exchange: to the server it looks like a NAT that rebinds, or a client that moves.
        let moving = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            endpoint.rebind(UdpSocket::bind(local)?)?;
            Ok::<(), Failure>(())
        };
        let (exchanged, ()) = tokio::try_join!(exchange::exchange(&connection), moving)?;
        results.push(("rebind", exchanged && exchange::echo(&connection).await?));
    }
    if options.has("exchange") {
        results.push(("exchange", exchange::exchange(&connection).await?));
    }
    if options.has("streams") {
        results.push(("streams", many_streams(&connection, options.number("streams")?).await?));
    }
    if options.has("datagrams") {
        results.push(("datagrams", datagrams(&connection, options.number("datagrams")?).await?));
    }
    if options.has("await-reset") {
        results.push(("reset", await_reset(&connection).await));
    }
    connection.close(0u32.into(), b"done");
    endpoint.wait_idle().await;
    let results: Vec<String> =
        results.iter().map(|(name, ok)| format!(",\"{name}\":\"{}\"", if *ok { "ok" } else { "wrong" })).collect();
    println!("{{\"type\":\"done\"{}}}", results.concat());
    Ok(())
}

/// Says `echoed`, and sends every 50 ms, as only who sends is answered by a stateless reset (RFC 9000 §10.3).
async fn await_reset(connection: &Connection) -> bool {
    println!("{{\"type\":\"echoed\"}}");
    loop {
        let _ = connection.send_datagram(vec![0; 100].into());
        if let Ok(reason) = tokio::time::timeout(Duration::from_millis(50), connection.closed()).await {
            return matches!(reason, ConnectionError::Reset);
        }
    }
}

/// Echoes on that many streams at once.
async fn many_streams(connection: &Connection, count: u64) -> Result<bool, Failure> {
    let mut echoes = JoinSet::new();
    for _ in 0..count {
        let connection = connection.clone();
        echoes.spawn(async move { exchange::echo(&connection).await });
    }
    let mut all = true;
    while let Some(echoed) = echoes.join_next().await {
        all &= echoed??;
    }
    Ok(all)
}

/// Sends that many datagrams, each once the one before has come back.
async fn datagrams(connection: &Connection, count: u64) -> Result<bool, Failure> {
    for number in 0..count {
        let datagram = vec![number as u8; 1000];
        connection.send_datagram(datagram.clone().into())?;
        let back = tokio::time::timeout(PATIENCE, connection.read_datagram()).await??;
        if back != datagram {
            return Ok(false);
        }
    }
    Ok(true)
}
