import { useEffect, useRef, useState, type FormEvent } from "react";
import type { Summary } from "./api";
import { useStore } from "./context";

export type Asked = { kind: "rename" | "delete"; conversation: Summary };

/** Asks for a new title, or whether a conversation is to be deleted. */
export function Dialogs({ asked, close }: { asked: Asked | null; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (asked) dialog.current?.showModal();
  }, [asked]);
  if (!asked) return null;
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="dialog-title"
      onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      {asked.kind === "rename" ? (
        <Rename conversation={asked.conversation} close={() => dialog.current?.close()} />
      ) : (
        <Delete conversation={asked.conversation} close={() => dialog.current?.close()} />
      )}
    </dialog>
  );
}

interface Props {
  conversation: Summary;
  close: () => void;
}

function Rename({ conversation, close }: Props) {
  const store = useStore();
  const [title, setTitle] = useState(conversation.title);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    close();
    if (title.trim() && title !== conversation.title) void store.rename(conversation.conversation_id, title.trim());
  };
  return (
    <form onSubmit={submit}>
      <h2 id="dialog-title">Rename conversation</h2>
      <input
        ref={field}
        className="field"
        aria-label="Title"
        maxLength={200}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
      />
      <div className="dialog-actions">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!title.trim()}>
          Rename
        </button>
      </div>
    </form>
  );
}

function Delete({ conversation, close }: Props) {
  const store = useStore();
  return (
    <>
      <h2 id="dialog-title">Delete conversation?</h2>
      <p>
        <strong>{conversation.title}</strong> will be deleted with all of its messages. This can’t be undone.
      </p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={close} autoFocus>
          Cancel
        </button>
        <button
          type="button"
          className="button danger"
          onClick={() => {
            close();
            void store.remove(conversation.conversation_id);
          }}
        >
          Delete
        </button>
      </div>
    </>
  );
}
