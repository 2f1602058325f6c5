package main

import (
	"fmt"
	"regexp"

	provenancev1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/nemesis-scaling/nemesis/deployments/internal/sbom"
)

const (
	provenanceType = "https://slsa.dev/provenance/v1"
	documentType   = sbom.MediaType
	// buildType says what the parameters mean: `make push-images` with these processors at this commit
	// gives these bytes.
	buildType      = repositoryURL + "/deployments/images@v1"
	defaultBuilder = repositoryURL + "/deployments/images"
)

// commit is a whole one, of which nothing was changed.
var commit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// provenance says in SLSA's words how an image was made.
func provenance(image, builder string, m made) (*structpb.Struct, error) {
	if !commit.MatchString(m.revision) {
		return nil, fmt.Errorf("%s says that it is of revision %q; only images of a commit are signed, for how they were made is said by it: commit, push and sign again", image, m.revision)
	}
	archs := make([]any, len(m.archs))
	for i, arch := range m.archs {
		archs[i] = arch
	}
	parameters, err := structpb.NewStruct(map[string]any{"image": image, "version": m.version, "processors": archs})
	if err != nil {
		return nil, err
	}
	p := &provenancev1.Provenance{
		BuildDefinition: &provenancev1.BuildDefinition{
			BuildType: buildType, ExternalParameters: parameters,
			ResolvedDependencies: []*intoto.ResourceDescriptor{{Uri: "git+" + repositoryURL, Digest: map[string]string{"gitCommit": m.revision}}},
		},
		RunDetails: &provenancev1.RunDetails{Builder: &provenancev1.Builder{Id: builder}},
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("provenance of %s: %w", image, err)
	}
	said, err := protojson.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("provenance of %s: %w", image, err)
	}
	predicate := &structpb.Struct{}
	return predicate, protojson.Unmarshal(said, predicate)
}

// commitOf is the commit that a provenance names.
func commitOf(predicate *structpb.Struct) string {
	said, err := protojson.Marshal(predicate)
	var p provenancev1.Provenance
	if err != nil || protojson.Unmarshal(said, &p) != nil || len(p.GetBuildDefinition().GetResolvedDependencies()) == 0 {
		return "unknown"
	}
	return p.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["gitCommit"]
}
