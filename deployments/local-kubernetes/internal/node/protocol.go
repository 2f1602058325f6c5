package node

// Part is one program of the cluster, run on the node.
type Part struct {
	Name string   `json:"name"`
	Args []string `json:"args"` // Args[0] is the path of the program
	Env  []string `json:"env"`
	Log  string   `json:"log"`
}

// Setup is what the node needs to know before its first part is started.
type Setup struct {
	// Link is the node's end of the link to the host, already moved into its network namespace.
	Link string `json:"link"`
	// VarLog becomes /var/log of the node: the kubelet writes there, whatever it is told.
	VarLog string `json:"varLog"`
	// State is the file that always tells how the parts fare.
	State string `json:"state"`
}

// command is what the launcher tells the node; exactly one field is set.
type command struct {
	Setup *Setup `json:"setup,omitempty"`
	Start *Part  `json:"start,omitempty"`
	// Detach ends the conversation: from here on the node lives without its launcher and restarts
	// parts that end. Without it the node ends when the launcher does.
	Detach bool `json:"detach,omitempty"`
}

// Event is what the node tells the launcher.
type Event struct {
	// Part is the part that ended, empty for the answer to the setup.
	Part string `json:"part,omitempty"`
	// Exit says how it ended.
	Exit string `json:"exit,omitempty"`
	// Error is why the setup failed or a part could not be started.
	Error string `json:"error,omitempty"`
}

// PartState is what the state file says of one part.
type PartState struct {
	Running  bool   `json:"running"`
	Restarts int    `json:"restarts"`
	LastExit string `json:"lastExit,omitempty"`
}
