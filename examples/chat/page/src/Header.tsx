import { useChat, useStore } from "./context";
import type { Asked } from "./Dialogs";
import { Icon } from "./icons";
import { Menu } from "./Menu";
import { StatusMark } from "./Sidebar";

/** The open conversation's title, its status, and what can be done with it. */
export function Header({ ask, openList }: { ask: (asked: Asked) => void; openList: () => void }) {
  const store = useStore();
  const { chat, live, list, open } = useChat();
  const title = chat?.title ?? list.find((one) => one.conversation_id === open)?.title ?? "New conversation";
  const id = chat?.conversation_id ?? "";
  return (
    <header className="header">
      <button type="button" className="icon-button only-phone" aria-label="Open the list" onClick={openList}>
        <Icon name="menu" />
      </button>
      <h1>{title}</h1>
      <StatusMark status={live ? "running" : chat?.status} />
      <span className="spring" />
      {chat && (
        <Menu
          label="More for this conversation"
          items={[
            { icon: "edit", text: "Rename", run: () => ask({ kind: "rename", conversation: chat }) },
            { icon: "download", text: "Export as Markdown", run: () => void store.download(id, "markdown") },
            { icon: "download", text: "Export as JSON", run: () => void store.download(id, "json") },
            { icon: "trash", text: "Delete", isDangerous: true, run: () => ask({ kind: "delete", conversation: chat }) },
          ]}
        />
      )}
      <button type="button" className="icon-button only-phone" aria-label="New conversation" onClick={() => store.show(null)}>
        <Icon name="plus" />
      </button>
    </header>
  );
}
