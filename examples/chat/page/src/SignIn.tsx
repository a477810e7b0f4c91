import { useState, type FormEvent } from "react";
import { takesToken } from "./api";
import { useChat, useStore } from "./context";

/** A name is enough for the demonstration's own server; another one takes its user pool's access token. */
export function SignIn() {
  const store = useStore();
  const { notice } = useChat();
  const [name, setName] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void store.signIn(name.trim());
  };
  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit}>
        <img src="./favicon.svg" alt="" width="44" height="44" />
        <h1>Chat</h1>
        <p>{takesToken ? "Sign in with an access token of the user pool." : "Choose a name. Each name has conversations of its own."}</p>
        <label htmlFor="name">{takesToken ? "Access token" : "Name"}</label>
        <input
          id="name"
          className="field"
          autoFocus
          required
          autoComplete="username"
          {...(takesToken ? {} : { pattern: "[A-Za-z0-9._@\\-]{1,64}", title: "Letters, digits and . _ @ -" })}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="button primary wide" disabled={!name.trim()}>
          Sign in
        </button>
        {notice && <p role="alert">{notice}</p>}
      </form>
    </main>
  );
}
