import { useEffect, useRef } from "react";
import type { Status, Summary } from "./api";
import { useChat, useStore } from "./context";
import type { Asked } from "./Dialogs";
import { Icon, Spinner } from "./icons";
import { Menu } from "./Menu";
import { groupOf, shortTime, wholeTime } from "./time";
import { hashOf } from "./store";
import type { Theme } from "./theme";

interface Props {
  ask: (asked: Asked) => void;
  close: () => void;
  theme: Theme;
  nextTheme: () => void;
}

const THEME_ICONS = { system: "system", light: "sun", dark: "moon" } as const;

/** The user's conversations, newest first, more on scrolling: the table's index. */
export function Sidebar({ ask, close, theme, nextTheme }: Props) {
  const store = useStore();
  const { user, list, cursor, isListLoaded } = useChat();
  const show = (id: string | null) => {
    store.show(id);
    close();
  };
  return (
    <>
      <div className="sidebar-head">
        <span className="brand">
          <img src="./favicon.svg" alt="" width="26" height="26" /> Chat
        </span>
        <button type="button" className="icon-button only-phone" aria-label="Close the list" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <button type="button" className="new-chat" onClick={() => show(null)}>
        <Icon name="plus" /> New conversation
      </button>
      <nav className="conversations" aria-label="Conversations">
        {isListLoaded && list.length === 0 && <p className="nothing">No conversations yet.</p>}
        {!isListLoaded && <Skeleton />}
        <ul>
          {list.map((one, place) => (
            <Row key={one.conversation_id} one={one} before={list[place - 1]} show={show} ask={ask} />
          ))}
        </ul>
        {cursor !== null && <More key={cursor} />}
      </nav>
      <div className="sidebar-foot">
        <span className="avatar" aria-hidden="true">
          {user?.slice(0, 1).toUpperCase()}
        </span>
        <span className="user-name">{user}</span>
        <button type="button" className="icon-button" onClick={nextTheme} aria-label={`Colours: ${theme}`} title={`Colours: ${theme}`}>
          <Icon name={THEME_ICONS[theme]} />
        </button>
        <button type="button" className="icon-button" onClick={() => void store.signOut()} aria-label="Sign out" title="Sign out">
          <Icon name="leave" />
        </button>
      </div>
    </>
  );
}

interface RowProps {
  one: Summary;
  before: Summary | undefined;
  show: (id: string) => void;
  ask: (asked: Asked) => void;
}

function Row({ one, before, show, ask }: RowProps) {
  const store = useStore();
  const { open } = useChat();
  const id = one.conversation_id;
  const group = groupOf(one.created_at);
  const isFirst = !before || groupOf(before.created_at) !== group;
  return (
    <>
      {isFirst && <li className="group">{group}</li>}
      <li className="row" data-open={open === id}>
        <a
          href={hashOf(id)}
          className="row-link"
          aria-current={open === id ? "page" : undefined}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey) return;
            event.preventDefault();
            show(id);
          }}
        >
          <span className="row-title">{one.title}</span>
          <StatusMark status={one.status} />
          <time dateTime={one.created_at} title={wholeTime(new Date(one.created_at))}>
            {shortTime(one.created_at)}
          </time>
        </a>
        <Menu
          label={`More for ${one.title}`}
          items={[
            { icon: "edit", text: "Rename", run: () => ask({ kind: "rename", conversation: one }) },
            { icon: "download", text: "Export", run: () => void store.download(id, "markdown") },
            { icon: "trash", text: "Delete", isDangerous: true, run: () => ask({ kind: "delete", conversation: one }) },
          ]}
        />
      </li>
    </>
  );
}

/** What of a conversation needs to be seen: an idle one is shown by nothing. */
export function StatusMark({ status }: { status: Status | undefined }) {
  if (status === "running") {
    return (
      <span className="status running" title="running">
        <Spinner />
        <span className="hidden">running</span>
      </span>
    );
  }
  if (status === "waiting" || status === "failed") return <span className={`status ${status}`}>{status}</span>;
  return null;
}

/** Asks for the next page when it is scrolled into view. */
function More() {
  const store = useStore();
  const end = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void store.more(), { rootMargin: "200px" });
    observer.observe(end.current!);
    return () => observer.disconnect();
  }, [store]);
  return (
    <button ref={end} type="button" className="more" onClick={() => void store.more()}>
      <Spinner /> Older conversations
    </button>
  );
}

function Skeleton() {
  return (
    <div className="skeleton" aria-hidden="true">
      {[70, 45, 60, 80, 50].map((width) => (
        <span key={width} style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
