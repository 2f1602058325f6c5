package app_test

// pending are the cases of the conformance suite that do not hold yet, by the names of their tests
// behind the first underscore; also the first part of a name. They run with -args -pending.
var pending = []string{
	`Pipelines/a_client_that_goes_behind_its_requests`,
	`Targets/dot_segments_at_a_root`,
	`Targets/slashes_at_a_root`,
	`Targets/target_/%2e/app`,
	`Targets/target_/%61pp/x`,
	`Targets/target_/../app/x`,
	`Targets/target_/./app/x`,
	`Targets/target_//app/x`,
	`Targets/target_/app/%41%7e`,
	`Targets/target_/app/./x`,
	`Targets/target_/app//x`,
	`Targets/target_/app/http://x/y`,
	`Targets/target_/app/x/%2E./y`,
	`Targets/target_/app/x/%2e%2e/y`,
	`Targets/target_/app/x/.`,
	`Targets/target_/app/x/..`,
	`Targets/target_/app/x/../y`,
	`Targets/target_/app/x//y`,
	`Targets/target_/x/../app/y`,
}
