//! noq as a peer, in both roles, speaking what tests/interop/exchange.ts says. It prints JSON, one object a line: the server
//! `ready`, both `observed` for each address that they are told to have, the client `done`. It ends by itself after
//! `--seconds`.

mod exchange;
mod options;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use noq::{ClientConfig, Connection, Endpoint, Incoming, ServerConfig, TransportConfig};
use options::Options;
use tokio::task::JoinSet;
use tokio_stream::Stream;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

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

async fn server(options: &Options) -> Result<(), Failure> {
    let mut config = ServerConfig::with_crypto(Arc::new(tls::server(options)?));
    config.transport_config(transport(options));
    let endpoint = Endpoint::server(config, SocketAddr::new(ip(options)?, 0))?;
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
    let endpoint = Endpoint::client(local)?;
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
            endpoint.rebind(std::net::UdpSocket::bind(local)?)?;
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
    connection.close(0u32.into(), b"done");
    endpoint.wait_idle().await;
    let results: Vec<String> =
        results.iter().map(|(name, ok)| format!(",\"{name}\":\"{}\"", if *ok { "ok" } else { "wrong" })).collect();
    println!("{{\"type\":\"done\"{}}}", results.concat());
    Ok(())
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
