// Package slots keeps the limit of a pod (containerConcurrency) whoever sends: load balancers lend
// each other the slots of the pods of one application. It is pure: no network, no lock, no clock; who
// uses it hands in the time and carries the messages.
//
// # How it works
//
// For each limited application one load balancer lends. It counts what all have in flight on each pod,
// serves its own requests without a word to anybody, and grants the tickets of the others in the order
// in which their requests arrived. Who shall lend is found by rendezvous hashing over those that are
// there (Council.First); that it may is found by asking everybody (Account):
//
//	Following ──it is first──▶ Sounding ──everybody answers──▶ Gathering ──everybody has promised──▶ Lending
//	    ▲                                                                                              │
//	    └────────────────────── it promises a higher ballot, or loses its standing ◀───────────────────┘
//
// A promise says: no slot of a lower ballot will be taken from here on, and this is what is in flight
// here (a Snapshot; the last lender adds its Ledger). Sounding comes first because a promise takes the
// application from the lender before: nobody is asked to while somebody does not answer.
//
// Between a holder and its lender go numbered operations (ask, done) and numbered grants, each said
// again until the other side confirms its number, within a session that the holder opens with a
// snapshot. So messages may be lost, doubled, late and in any order.
//
// # Why it is safe
//
// Standing (Council.Stands) is what a load balancer has while no other one can take it for gone: the
// controller took its report less than Terms.Receipt (45 s) ago, for it takes nobody out of its view
// that it heard within 60 s, or within what its reports ask for (TermsFor), unless Kubernetes says that its process has ended or its pod was deleted; or every other member
// has given its word within Terms.Vouch (2 s), and keeps to it for Terms.Word (4 s) whatever a view
// says. Each side measures with its own clock from the earlier moment where it counts on the other and
// from the later one where the other counts on it, so clocks may differ in rate by a quarter. Whoever
// finds that its standing was lost (stopped, cut off) acts again only after a view that was asked for
// later names it.
//
//  1. Two that stand know of each other. If a's view does not name b, b was taken out, and does not
//     stand, or came later; then b's view is the newer one, and names a.
//  2. At most one that stands lends. Let a lend ballot n and b a higher one m. Both needed promises of
//     everybody in their views and of every owner of a ballot that one of these had promised. By 1 one
//     of the two views names the other balancer. If b's names a, a has promised m, and lends no more.
//     If a's names b, b has promised n before it began with m, and so knew a and asked it; or after, but
//     then it would have refused.
//  3. The lender knows of every slot in use. Of who promised by its snapshot, after which only this
//     lender's own grants add to it. Of who is gone by the ledger of the last lender; when that one is
//     gone itself (somebody has promised a ballot whose owner is not there, and has not heard of a lender
//     since), every slot that nobody has is taken to be in use (Began.Unknown).
//  4. A slot whose holder has gone rests: the pod may still work on the request, although the connection
//     is closed. The same holds for requests that a load balancer cuts off itself because its standing
//     ends (Account.Cut), so that nothing of it is on a pod when others take it for gone.
//
// # What is assumed, and what is not kept
//
//   - A slot rests for half as long again as the longest answer took lately (dispatch.restFor), at most
//     two minutes: a pod that goes on for longer with a request whose connection was closed may have one
//     more meanwhile. A request that a client gives up frees its slot at once, as with one load balancer.
//   - Between the look at the clock and the first byte on the wire a process is not stopped for longer
//     than is left of its standing's margin (15 s).
//   - Who deletes a load balancer's pod by force sees to it that its process ends within two seconds, as
//     Kubernetes asks of whoever does that.
//   - When all that knew of a request are gone at once, those that start later cannot know of it.
//   - A group that neither the controller nor Kubernetes nor any load balancer that came later can reach
//     for a minute does not reach the pods either.
//   - While the controller is away and a member does not answer, nobody can tell whether it is gone or
//     has a newer view: after 45 s limited applications wait until the controller or the member is back.
//     That is the one place where the limit comes before the answer.
//   - A load balancer that is too old to take part (its report has no address) keeps the limit for itself
//     alone, as it did before; so does every one under a controller that does not say who is there.
//
// The model in the tests is this very code under every order of events within small bounds, and under
// long random ones: three load balancers, three pods, messages lost, late and doubled, crashes, restarts
// and cut-offs at each point, views that differ.
package slots
