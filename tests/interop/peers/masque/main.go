// masque-go as a client of a CONNECT-UDP proxy (RFC 9298): a UDP socket of this machine that leads through a tunnel to one
// target. It prints JSON, one object a line: "ready" with the port of the socket, or "refused" with what the proxy answered.
// It ends by itself after -seconds, or when its input ends.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/masque-go"
	"github.com/yosida95/uritemplate/v3"
)

var (
	cert    = flag.String("cert", "", "the certificate of the proxy, PEM")
	name    = flag.String("name", "localhost", "the name in it")
	proxy   = flag.String("proxy", "", "HOST:PORT of the proxy")
	target  = flag.String("target", "", "HOST:PORT of the target")
	seconds = flag.Int("seconds", 60, "limit")
)

func main() {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*seconds)*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		say(map[string]any{"type": "error", "error": err.Error()})
		os.Exit(1)
	}
}

func say(message map[string]any) {
	line, _ := json.Marshal(message)
	fmt.Println(string(line))
}

func run(ctx context.Context) error {
	pem, err := os.ReadFile(*cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &masque.Client{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: *name, NextProtos: []string{"h3"}},
	}
	template, err := uritemplate.New("https://" + *proxy + "/.well-known/masque/udp/{target_host}/{target_port}/")
	if err != nil {
		return err
	}
	tunnel, response, err := client.DialAddr(ctx, template, *target)
	if err != nil {
		if response == nil {
			return err
		}
		say(answer("refused", response))
		return nil
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	ready := answer("ready", response)
	ready["port"] = socket.LocalAddr().(*net.UDPAddr).Port
	say(ready)
	ended := make(chan error, 3)
	user := make(chan *net.UDPAddr, 1)
	go func() { ended <- intoTunnel(socket, tunnel, user) }()
	go func() { ended <- outOfTunnel(socket, tunnel, user) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, tunnel.Close(), client.Close())
}

func answer(what string, response *http.Response) map[string]any {
	return map[string]any{
		"type":            what,
		"status":          response.StatusCode,
		"capsuleProtocol": response.Header.Get("Capsule-Protocol"),
		"proxyStatus":     response.Header.Get("Proxy-Status"),
	}
}

// intoTunnel carries what comes to the socket, and tells once who uses it.
func intoTunnel(socket *net.UDPConn, tunnel net.PacketConn, user chan<- *net.UDPAddr) error {
	datagram := make([]byte, 2048)
	for isFirst := true; ; isFirst = false {
		length, from, err := socket.ReadFromUDP(datagram)
		if err != nil {
			return err
		}
		if isFirst {
			user <- from
		}
		// What does not fit is lost, as on any path.
		tunnel.WriteTo(datagram[:length], nil)
	}
}

func outOfTunnel(socket *net.UDPConn, tunnel net.PacketConn, user <-chan *net.UDPAddr) error {
	to := <-user
	datagram := make([]byte, 2048)
	for {
		length, _, err := tunnel.ReadFrom(datagram)
		if err != nil {
			return err
		}
		if _, err := socket.WriteToUDP(datagram[:length], to); err != nil {
			return err
		}
	}
}
