package routing

// HashOn is what requests that belong together have in common; one of its fields is set. The zero
// value says nothing.
type HashOn struct {
	Header        string // a field's name
	Cookie        string
	Query         string
	ClientAddress bool
	MCPSession    bool // of the Model Context Protocol
	Prompt        bool // the beginning of a language model's prompt
}

// Given tells whether anything is said.
func (h HashOn) Given() bool { return h != HashOn{} }
