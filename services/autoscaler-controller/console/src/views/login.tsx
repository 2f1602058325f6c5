// Login: the page asks with the caller's own token, and has no account of its own.
import { useState } from "preact/hooks";
import { Trouble } from "../parts";

export function Login({ refused, enter }: { refused: string; enter: (token: string) => void }) {
  const [value, set] = useState("");
  return (
    <main class="login" id="main">
      <h1>Nemesis</h1>
      <p>Who are you? The console asks with your own Kubernetes token, and shows what you may see.</p>
      <form onSubmit={(e) => { e.preventDefault(); if (value.trim()) enter(value.trim()); }}>
        <label for="token">Token</label>
        <input id="token" type="password" autoComplete="off" spellcheck={false} value={value} onInput={(e) => set(e.currentTarget.value)} required />
        <button type="submit" class="primary">Enter</button>
      </form>
      <Trouble text={refused} />
      <h2>Where one comes from</h2>
      <p>Of yourself, if your kubeconfig has one:</p>
      <pre tabIndex={0}>kubectl config view --raw --minify -o jsonpath='{"{.users[0].user.token}"}'</pre>
      <p>Or of a service account, for some hours; here of one that may look at one namespace:</p>
      <pre tabIndex={0}>{`kubectl -n my-namespace create serviceaccount viewer
kubectl -n my-namespace create rolebinding viewer --clusterrole=view \\
  --serviceaccount=my-namespace:viewer
kubectl -n my-namespace create token viewer --duration=8h`}</pre>
      <p class="quiet">It is kept for this tab alone, and forgotten when the tab is closed.</p>
    </main>
  );
}
