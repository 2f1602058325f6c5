package pod

// Application is what is known of the application whose page was read.
type Application struct {
	Server     string   // the kind of server; "" is none that is known
	Version    string   // of it whose page the names were read from; "" is that none was run
	Models     []string // that it serves, some of them
	MoreModels int      // how many are not named
	Unread     []string // what of the page could not be read, and why
}
