// quic-go as a peer, in both roles, speaking what tests/interop/exchange.ts says. It prints JSON, one object a line: the
// server "ready", the client "done". It ends by itself after -seconds.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

var (
	cert      = flag.String("cert", "", "certificate, PEM: presented by a server, the one that a client takes")
	key       = flag.String("key", "", "its key, PEM")
	alpn      = flag.String("alpn", "", "application protocol")
	ip        = flag.String("ip", "127.0.0.1", "address of ours, and of the server")
	port      = flag.Int("port", 0, "of the server; 0 for any that is free")
	seconds   = flag.Int("seconds", 60, "limit")
	retry     = flag.Bool("retry", false, "a server sends Retry to everybody")
	resetKey  = flag.String("reset-key", "", "32 bytes, hexadecimal: stateless resets of a server that was restarted")
	version2  = flag.Bool("version-2", false, "a server that speaks version 2 alone, a client that begins with it")
	group     = flag.String("group", "", "the one key exchange group it takes, by its name")
	clientPem = flag.String("client-cert", "", "certificate, PEM: a server takes clients that have it")
	ownCert   = flag.String("own-cert", "", "certificate of a client, PEM")
	ownKey    = flag.String("own-key", "", "its key, PEM")
	exchanges = flag.Bool("exchange", false, "a client exchanges")
	moves     = flag.Bool("migrate", false, "a client goes to another port in the middle of an exchange")
	streams   = flag.Int("streams", 0, "a client echoes on so many streams, all at once")
	reset     = flag.Bool("await-reset", false, "a client says \"echoed\", and sends until a stateless reset comes")
	datagrams = flag.Int("datagrams", 0, "a client sends so many datagrams, each once the one before has come back")
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("the first word is server or client"))
	}
	role := os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*seconds)*time.Second)
	defer cancel()
	var err error
	switch role {
	case "server":
		err = server(ctx)
	case "client":
		err = client(ctx)
	default:
		err = errors.New("there is no role " + role)
	}
	if err != nil {
		fail(err)
	}
}

func say(message map[string]any) {
	line, _ := json.Marshal(message)
	fmt.Println(string(line))
}

func fail(err error) {
	say(map[string]any{"type": "error", "error": err.Error()})
	os.Exit(1)
}

func settings() *quic.Config {
	config := &quic.Config{EnableDatagrams: true, MaxIdleTimeout: 30 * time.Second}
	if *version2 {
		config.Versions = []quic.Version{quic.Version2}
	}
	return config
}

func transport() (*quic.Transport, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(*ip), Port: boundPort()})
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	if *retry {
		transport.VerifySourceAddress = func(net.Addr) bool { return true }
	}
	if *resetKey != "" {
		bytes, err := hex.DecodeString(*resetKey)
		if err != nil || len(bytes) != 32 {
			return nil, errors.New("-reset-key is not 32 bytes")
		}
		transport.StatelessResetKey = (*quic.StatelessResetKey)(bytes)
	}
	return transport, nil
}

// boundPort is the port of a server; clients have any.
func boundPort() int {
	if os.Args[1] == "server" {
		return *port
	}
	return 0
}

func server(ctx context.Context) error {
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	at, err := transport()
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{*alpn}, CurvePreferences: curves()}
	if *clientPem != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if config.ClientCAs, err = pool(*clientPem); err != nil {
			return err
		}
	}
	listener, err := at.Listen(config, settings())
	if err != nil {
		return err
	}
	say(map[string]any{"type": "ready", "port": at.Conn.LocalAddr().(*net.UDPAddr).Port})
	for {
		connection, err := listener.Accept(ctx)
		if err != nil {
			return err
		}
		go returnDatagrams(ctx, connection)
		go serveStreams(ctx, connection)
	}
}

func serveStreams(ctx context.Context, connection *quic.Conn) {
	for {
		stream, err := connection.AcceptStream(ctx)
		if err != nil {
			return
		}
		go serveStream(stream)
	}
}

func returnDatagrams(ctx context.Context, connection *quic.Conn) {
	for {
		datagram, err := connection.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		if connection.SendDatagram(datagram) != nil {
			return
		}
	}
}

func client(ctx context.Context) error {
	at, err := transport()
	if err != nil {
		return err
	}
	config, err := trusting(*cert)
	if err != nil {
		return err
	}
	quicConfig := settings()
	if *version2 {
		// It begins with the first, and goes on with the other where the server says so.
		quicConfig.Versions = []quic.Version{quic.Version2, quic.Version1}
	}
	connection, err := at.Dial(ctx, &net.UDPAddr{IP: net.ParseIP(*ip), Port: *port}, config, quicConfig)
	if err != nil {
		return err
	}
	done := map[string]any{"type": "done", "version": connection.ConnectionState().Version.String()}
	do := func(name string, wanted bool, action func() error) {
		if !wanted || err != nil {
			return
		}
		if err = action(); err == nil {
			done[name] = "ok"
		}
	}
	do("echo", true, func() error { return echo(ctx, connection) })
	do("exchange", *exchanges, func() error {
		return exchange(ctx, connection, func() error { return nil })
	})
	do("migrate", *moves, func() error {
		return exchange(ctx, connection, func() error { return migrate(ctx, connection) })
	})
	do("streams", *streams > 0, func() error { return manyStreams(ctx, connection) })
	do("datagrams", *datagrams > 0, func() error { return manyDatagrams(ctx, connection) })
	do("reset", *reset, func() error { return awaitReset(connection) })
	if err != nil {
		return err
	}
	connection.CloseWithError(0, "done")
	at.Close()
	say(done)
	return nil
}

// trusting is the configuration of a client that takes one certificate, and has one itself if it was given.
func trusting(path string) (*tls.Config, error) {
	roots, err := pool(path)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{*alpn}, CurvePreferences: curves()}
	if *ownCert != "" {
		pair, err := tls.LoadX509KeyPair(*ownCert, *ownKey)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func pool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// curves are the groups by the names of the TLS registry; none stands for those that Go takes by itself.
func curves() []tls.CurveID {
	named := map[string]tls.CurveID{
		"x25519":         tls.X25519,
		"secp256r1":      tls.CurveP256,
		"secp384r1":      tls.CurveP384,
		"X25519MLKEM768": tls.X25519MLKEM768,
	}
	if *group == "" {
		return nil
	}
	return []tls.CurveID{named[*group]}
}

// migrate goes to another port of ours: RFC 9000 §9.2.
func migrate(ctx context.Context, connection *quic.Conn) error {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(*ip)})
	if err != nil {
		return err
	}
	path, err := connection.AddPath(&quic.Transport{Conn: socket})
	if err != nil {
		return err
	}
	if err := path.Probe(ctx); err != nil {
		return err
	}
	return path.Switch()
}

func manyStreams(ctx context.Context, connection *quic.Conn) error {
	results := make(chan error, *streams)
	for range *streams {
		go func() { results <- echo(ctx, connection) }()
	}
	var err error
	for range *streams {
		err = errors.Join(err, <-results)
	}
	return err
}

// awaitReset sends every 50 ms, as only who sends is answered by a stateless reset: RFC 9000 §10.3.
func awaitReset(connection *quic.Conn) error {
	say(map[string]any{"type": "echoed"})
	for connection.Context().Err() == nil {
		connection.SendDatagram(make([]byte, 100))
		time.Sleep(50 * time.Millisecond)
	}
	cause := context.Cause(connection.Context())
	var wanted *quic.StatelessResetError
	if errors.As(cause, &wanted) {
		return nil
	}
	return cause
}

func manyDatagrams(ctx context.Context, connection *quic.Conn) error {
	for number := range *datagrams {
		if err := connection.SendDatagram([]byte{byte(number), 1, 2, 3}); err != nil {
			return err
		}
		back, err := connection.ReceiveDatagram(ctx)
		if err != nil {
			return err
		}
		if len(back) != 4 || back[0] != byte(number) {
			return errors.New("another datagram came back")
		}
	}
	return nil
}
