package main

// What tests/interop/exchange.ts says, in both roles.

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/quic-go/quic-go"
)

const (
	exchangeBytes = 8 * 1024 * 1024
	chunkBytes    = 64 * 1024
	echoText      = "echo of quic-go"
)

// serveStream plays the server on one stream the client opened.
func serveStream(stream *quic.Stream) error {
	kind := make([]byte, 1)
	if _, err := io.ReadFull(stream, kind); err != nil {
		return err
	}
	if kind[0] == 'E' {
		if _, err := io.Copy(stream, stream); err != nil {
			return err
		}
		return stream.Close()
	}
	received := make(chan result, 1)
	go func() { received <- hashAll(stream) }()
	sent, err := writeRandom(stream)
	if err != nil {
		return err
	}
	got := <-received
	if got.err != nil {
		return got.err
	}
	if _, err := stream.Write(append(sent, got.hash...)); err != nil {
		return err
	}
	return stream.Close()
}

// echo plays the client of E, on a stream of its own.
func echo(ctx context.Context, connection *quic.Conn) error {
	stream, err := connection.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte("E" + echoText)); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	back, err := io.ReadAll(io.LimitReader(stream, chunkBytes))
	if err != nil {
		return err
	}
	if string(back) != echoText {
		return errors.New("the echo is another")
	}
	return nil
}

// exchange plays the client of X, on a stream of its own. Both sides send at once; meanwhile is called in the middle.
func exchange(ctx context.Context, connection *quic.Conn, meanwhile func() error) error {
	stream, err := connection.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte("X")); err != nil {
		return err
	}
	received := make(chan result, 1)
	go func() { received <- hashBeforeTrailer(stream) }()
	moved := make(chan error, 1)
	go func() { moved <- meanwhile() }()
	sent, err := writeRandom(stream)
	if err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	got := <-received
	if err := errors.Join(got.err, <-moved); err != nil {
		return err
	}
	if got.bytes != exchangeBytes || !bytes.Equal(got.trailer, append(got.hash, sent...)) {
		return errors.New("what was exchanged is not what was sent")
	}
	return nil
}

type result struct {
	bytes         int
	hash, trailer []byte
	err           error
}

func writeRandom(stream io.Writer) ([]byte, error) {
	hash := sha256.New()
	chunk := make([]byte, chunkBytes)
	for left := exchangeBytes; left > 0; left -= chunkBytes {
		rand.Read(chunk)
		hash.Write(chunk)
		if _, err := stream.Write(chunk); err != nil {
			return nil, err
		}
	}
	return hash.Sum(nil), nil
}

func hashAll(stream io.Reader) result {
	hash := sha256.New()
	_, err := io.Copy(hash, stream)
	return result{hash: hash.Sum(nil), err: err}
}

// hashBeforeTrailer reads the bytes of the other side, and the two hashes that end them.
func hashBeforeTrailer(stream io.Reader) result {
	hash := sha256.New()
	count, err := io.CopyN(hash, stream, exchangeBytes)
	if err != nil {
		return result{err: err}
	}
	trailer, err := io.ReadAll(io.LimitReader(stream, chunkBytes))
	return result{bytes: int(count), hash: hash.Sum(nil), trailer: trailer, err: err}
}
