// Package certificates holds the certificates of the data port: read from files, chosen by the name
// that a client asks for (SNI), and read again while the program runs.
//
// Files are looked at every few seconds, by content: a Kubernetes Secret changes by a symbolic link
// that is set anew, others by a rename or in place, and notifications see neither on every file
// system. A pair that cannot be used leaves the one before in use, for a front door without a
// certificate serves nobody; that is logged once, and counted. Connections go on as they are, and
// sessions are resumed, whatever changes.
package certificates
