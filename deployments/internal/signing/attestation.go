package signing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
	statementType = "application/vnd.in-toto+json"
)

// Attest says of the manifest what the predicate says, signed with the key, in a DSSE envelope. What the
// key has attested already, of this type, is left as it is.
func Attest(ctx context.Context, subject name.Digest, predicateType string, predicate *structpb.Struct, key signature.SignerVerifier) error {
	if _, err := Attested(ctx, subject, predicateType, key); !errors.Is(err, ErrNone) {
		return err
	}
	statement := &intoto.Statement{
		Type: intoto.StatementTypeUri, PredicateType: predicateType, Predicate: predicate,
		Subject: []*intoto.ResourceDescriptor{{Name: subject.Context().Name(), Digest: map[string]string{"sha256": hexOf(subject)}}},
	}
	if err := statement.Validate(); err != nil {
		return fmt.Errorf("statement of %s: %w", subject, err)
	}
	said, err := protojson.Marshal(statement)
	if err != nil {
		return fmt.Errorf("statement of %s: %w", subject, err)
	}
	envelope, err := dsse.WrapSigner(key, statementType).SignMessage(bytes.NewReader(said))
	if err != nil {
		return fmt.Errorf("attestation of %s: %w", subject, err)
	}
	return add(ctx, beside(subject, "att"), mutate.Addendum{
		Layer:       static.NewLayer(envelope, envelopeType),
		Annotations: map[string]string{annotation: "", "predicateType": predicateType},
	})
}

// Attested gives what the key has attested of the manifest by this type: ErrNone when that is nothing.
func Attested(ctx context.Context, subject name.Digest, predicateType string, key signature.Verifier) (*structpb.Struct, error) {
	var found *structpb.Struct
	err := each(ctx, beside(subject, "att"), envelopeType, func(envelope []byte, _ map[string]string) {
		if s := open(envelope, key); s != nil && s.GetPredicateType() == predicateType && about(s, subject) {
			found = s.GetPredicate()
		}
	})
	if err == nil && found == nil {
		err = ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("attestation of %s: %w", subject, err)
	}
	return found, nil
}

// open gives the statement in an envelope that the key has signed, else nil.
func open(envelope []byte, key signature.Verifier) *intoto.Statement {
	var said []byte
	verifier := dsse.WrapVerifier(key, dsse.WithExpectedPayloadType(statementType), dsse.WithDecodedPayload(&said))
	if verifier.VerifySignature(bytes.NewReader(envelope), nil) != nil {
		return nil
	}
	var s intoto.Statement
	if protojson.Unmarshal(said, &s) != nil || s.Validate() != nil {
		return nil
	}
	return &s
}

func about(s *intoto.Statement, subject name.Digest) bool {
	for _, one := range s.GetSubject() {
		if one.GetDigest()["sha256"] == hexOf(subject) {
			return true
		}
	}
	return false
}

func hexOf(subject name.Digest) string { return strings.TrimPrefix(subject.DigestStr(), "sha256:") }
