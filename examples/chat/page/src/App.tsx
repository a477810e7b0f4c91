import { useEffect, useState } from "react";
import { StoreContext, useChat, useStore } from "./context";
import { Dialogs, type Asked } from "./Dialogs";
import { Header } from "./Header";
import { Sidebar } from "./Sidebar";
import { SignIn } from "./SignIn";
import type { ChatStore } from "./store";
import { useTheme } from "./theme";
import { Thread } from "./Thread";

export function App({ store }: { store: ChatStore }) {
  return (
    <StoreContext value={store}>
      <Page />
    </StoreContext>
  );
}

function Page() {
  const { user, isOnline, notice } = useChat();
  const [theme, nextTheme] = useTheme();
  return (
    <>
      {user === null && <SignIn />}
      {user === undefined && <div className="starting">{isOnline ? null : <p>Waiting for the server …</p>}</div>}
      {user && <Shell theme={theme} nextTheme={nextTheme} />}
      <div className="toasts" role="status">
        {!isOnline && <p className="toast offline">The server does not answer. Trying again …</p>}
        {isOnline && notice && <Notice text={notice} />}
      </div>
    </>
  );
}

function Notice({ text }: { text: string }) {
  const store = useStore();
  return (
    <p className="toast">
      {text}
      <button type="button" className="text-button" onClick={() => store.dismiss()}>
        Dismiss
      </button>
    </p>
  );
}

function Shell({ theme, nextTheme }: { theme: ReturnType<typeof useTheme>[0]; nextTheme: () => void }) {
  const { chat, view } = useChat();
  const [isListOpen, setListOpen] = useState(false);
  const [asked, setAsked] = useState<Asked | null>(null);
  const close = () => setListOpen(false);
  useEffect(() => {
    document.title = chat ? `${chat.title} – Chat` : "Chat";
  }, [chat]);
  useEffect(() => {
    const escape = (event: KeyboardEvent) => event.key === "Escape" && setListOpen(false);
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  }, []);
  return (
    <div className="shell" data-list={isListOpen ? "open" : "closed"}>
      <a className="skip" href="#message" onClick={focusComposer}>
        Skip to the message
      </a>
      <aside className="sidebar" aria-label="Your conversations">
        <Sidebar ask={setAsked} close={close} theme={theme} nextTheme={nextTheme} />
      </aside>
      <div className="backdrop" onClick={close} />
      <main className="main" inert={isListOpen}>
        <Header ask={setAsked} openList={() => setListOpen(true)} />
        <Thread key={view} />
      </main>
      <Dialogs asked={asked} close={() => setAsked(null)} />
    </div>
  );
}

function focusComposer(event: React.MouseEvent) {
  event.preventDefault();
  document.querySelector<HTMLTextAreaElement>(".composer-input")?.focus();
}
