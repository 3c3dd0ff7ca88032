//! What tests/interop/exchange.ts says, in both roles.

use noq::{Connection, RecvStream, SendStream};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::Failure;

const EXCHANGE_BYTES: usize = 8 * 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
const HASH_BYTES: usize = 32;
const ECHO: &[u8] = b"echo of noq";

/// Plays the server on one stream the client opened.
pub async fn serve_stream(mut send: SendStream, mut receive: RecvStream) -> Result<(), Failure> {
    let mut kind = [0];
    receive.read_exact(&mut kind).await?;
    if kind[0] == b'E' {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Some(length) = receive.read(&mut chunk).await? {
            send.write_all(&chunk[..length]).await?;
        }
    } else {
        let (sent, received) = tokio::try_join!(write_random(&mut send), read_hashed(&mut receive, 0))?;
        send.write_all(&sent).await?;
        send.write_all(&received.hash).await?;
    }
    send.finish()?;
    Ok(())
}

/// Plays the client of `E`, on a stream of its own.
pub async fn echo(connection: &Connection) -> Result<bool, Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(b"E").await?;
    send.write_all(ECHO).await?;
    send.finish()?;
    Ok(receive.read_to_end(ECHO.len()).await? == ECHO)
}

/// Plays the client of `X`, on a stream of its own.
pub async fn exchange(connection: &Connection) -> Result<bool, Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(b"X").await?;
    let write = async {
        let sent = write_random(&mut send).await?;
        send.finish()?;
        Ok(sent)
    };
    let (sent, received) = tokio::try_join!(write, read_hashed(&mut receive, 2 * HASH_BYTES))?;
    let expected = [received.hash.as_slice(), sent.as_slice()].concat();
    Ok(received.bytes == EXCHANGE_BYTES && received.trailer == expected)
}

async fn write_random(send: &mut SendStream) -> Result<Vec<u8>, Failure> {
    let random = SystemRandom::new();
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    for _ in 0..EXCHANGE_BYTES / CHUNK_BYTES {
        random.fill(&mut chunk).map_err(|_| "no random bytes")?;
        hash.update(&chunk);
        send.write_all(&chunk).await?;
    }
    Ok(hash.finish().as_ref().to_vec())
}

struct Received {
    bytes: usize,
    hash: Vec<u8>,
    trailer: Vec<u8>,
}

/// Reads to the end and hashes all but the last `trailer_bytes`.
async fn read_hashed(receive: &mut RecvStream, trailer_bytes: usize) -> Result<Received, Failure> {
    let mut hash = Context::new(&SHA256);
    let mut known = Vec::new();
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Some(length) = receive.read(&mut chunk).await? {
        known.extend_from_slice(&chunk[..length]);
        let end = known.len().saturating_sub(trailer_bytes);
        hash.update(&known[..end]);
        bytes += end;
        known.drain(..end);
    }
    Ok(Received { bytes, hash: hash.finish().as_ref().to_vec(), trailer: known })
}
