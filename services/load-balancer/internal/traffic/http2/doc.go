// Package http2 is HTTP/2 on both sides of the proxy: Server is the client's side of exchanges that
// come over HTTP/2 (agreed on in TLS, or in clear text with prior knowledge), Sender sends requests to
// pods that speak it in clear text. gRPC is what mostly comes this way.
//
// net/http's HTTP/2 does the frames, with its guards against floods of resets and of CONTINUATION
// frames; golang.org/x/net/http2 is the same code, and calls itself deprecated in favour of it. What
// is added here are the proxy's ports, bounds, and what net/http leaves open: which failures say that
// a request was provably not worked on, reads that run out of time and may be tried again, and a
// wait for the next part of a body that holds no memory.
//
// A head that comes over HTTP/2 is written out and read by message's parser: what HTTP/1.1 refuses is
// refused here.
//
// No PING is sent to pods: gRPC's servers allow one in five minutes by default (two hours when nothing is
// under way), and end the connection with all that is on it at the third one too many. What they send
// forgives the ones before, but a stream on which nothing moves is where a PING would tell something. A
// pod that the network has cut off is seen by TCP (socket.SetUserTimeout, keep-alive) in seconds; tests
// show both.
//
// Of what follows a client's body net/http hands on the fields that the head has announced, and drops
// others where it reads them. They are not passed on, therefore, from a client that speaks HTTP/2; from
// one that speaks HTTP/1.1 they are, also to pods that speak HTTP/2.
package http2
