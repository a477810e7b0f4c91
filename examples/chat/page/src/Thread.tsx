import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  ComposerPrimitive,
  MessagePrimitive,
  ThreadPrimitive,
  useAuiState,
} from "@assistant-ui/react";
import { useEffect, useRef } from "react";
import { Approvals } from "./Approval";
import { useChat, useStore } from "./context";
import { Icon, Spinner } from "./icons";
import { Markdown } from "./Markdown";
import { useRuntime } from "./runtime";
import { wholeTime } from "./time";
import { ToolCard } from "./ToolCard";

const SUGGESTIONS = [
  { title: "Show me the Python files", text: "A search with a tool" },
  { title: "Which files changed this week?", text: "A filter by date" },
  { title: "What is the largest file?", text: "A filter, sorted by size" },
  { title: "Keep a note: the demo works", text: "A tool that asks you first" },
];

/** The open conversation: its messages, what it waits for, and where one types. */
export function Thread() {
  const runtime = useRuntime();
  const { chat, isLoading, live } = useChat();
  const isEmpty = !isLoading && !live && (chat?.messages.length ?? 0) === 0;
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root className="thread" data-empty={isEmpty}>
        <ThreadPrimitive.Viewport className="viewport" tabIndex={0} role="region" aria-label="Messages">
          <div className="messages">
            {isEmpty && <Welcome />}
            {isLoading && <p className="loading"><Spinner /> Loading …</p>}
            {chat?.before != null && <Earlier key={chat.before} />}
            <ThreadPrimitive.Messages components={{ UserMessage, AssistantMessage, SystemMessage, UserEditComposer: EditComposer }} />
            <Approvals />
            <Stopped />
          </div>
          <ThreadPrimitive.ViewportFooter className="footer">
            <ThreadPrimitive.ScrollToBottom className="scroll-down" aria-label="Scroll to the newest message">
              <Icon name="down" />
            </ThreadPrimitive.ScrollToBottom>
            <Composer />
          </ThreadPrimitive.ViewportFooter>
        </ThreadPrimitive.Viewport>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}

function Welcome() {
  return (
    <div className="welcome">
      <h2>What are you looking for?</h2>
      <p>The assistant knows the files of one folder. It searches with tools, and remembers what was said.</p>
      <div className="suggestions">
        {SUGGESTIONS.map((one) => (
          <ThreadPrimitive.Suggestion key={one.title} className="suggestion" prompt={one.title} send>
            <strong>{one.title}</strong>
            <span>{one.text}</span>
          </ThreadPrimitive.Suggestion>
        ))}
      </div>
    </div>
  );
}

/** Reads the page before when it is scrolled into view. */
function Earlier() {
  const store = useStore();
  const start = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void store.loadEarlier());
    observer.observe(start.current!);
    return () => observer.disconnect();
  }, [store]);
  return (
    <button ref={start} type="button" className="more" onClick={() => void store.loadEarlier()}>
      <Spinner /> Earlier messages
    </button>
  );
}

function UserMessage() {
  return (
    <MessagePrimitive.Root className="message user">
      <div className="bubble">
        <MessagePrimitive.Parts components={{ Text: PlainText }} />
      </div>
      <div className="actions-space">
        <ActionBarPrimitive.Root className="actions" hideWhenRunning>
        <Time />
        <Copy />
        <ActionBarPrimitive.Edit className="icon-button small" aria-label="Edit" title="Edit">
          <Icon name="edit" size={16} />
        </ActionBarPrimitive.Edit>
      </ActionBarPrimitive.Root>
      </div>
    </MessagePrimitive.Root>
  );
}

function AssistantMessage() {
  return (
    <MessagePrimitive.Root className="message assistant">
      <MessagePrimitive.Parts components={{ Text: Markdown, tools: { Fallback: ToolCard }, Empty: Thinking }} />
      <div className="actions-space">
        <ActionBarPrimitive.Root className="actions" hideWhenRunning>
        <Copy />
        <ActionBarPrimitive.Reload className="icon-button small" aria-label="Answer again" title="Answer again">
          <Icon name="again" size={16} />
        </ActionBarPrimitive.Reload>
        <Time />
      </ActionBarPrimitive.Root>
      </div>
    </MessagePrimitive.Root>
  );
}

function SystemMessage() {
  return (
    <MessagePrimitive.Root className="message system">
      <MessagePrimitive.Parts components={{ Text: PlainText }} />
    </MessagePrimitive.Root>
  );
}

function EditComposer() {
  return (
    <ComposerPrimitive.Root className="edit-composer">
      <ComposerPrimitive.Input className="edit-input" aria-label="Edit your message" autoFocus />
      <div className="dialog-actions">
        <ComposerPrimitive.Cancel className="button">Cancel</ComposerPrimitive.Cancel>
        <ComposerPrimitive.Send className="button primary">Send</ComposerPrimitive.Send>
      </div>
    </ComposerPrimitive.Root>
  );
}

function PlainText({ text }: { text: string }) {
  return <p className="plain">{text}</p>;
}

function Thinking() {
  const isRunning = useAuiState((state) => state.message.status?.type === "running");
  return isRunning ? (
    <p className="thinking">
      <span className="hidden">The assistant is thinking</span>
      <i /> <i /> <i />
    </p>
  ) : null;
}

function Copy() {
  const isCopied = useAuiState((state) => state.message.isCopied);
  return (
    <ActionBarPrimitive.Copy className="icon-button small" aria-label={isCopied ? "Copied" : "Copy"} title="Copy">
      <Icon name={isCopied ? "check" : "copy"} size={16} />
    </ActionBarPrimitive.Copy>
  );
}

function Time() {
  const createdAt = useAuiState((state) => state.message.createdAt);
  return <time dateTime={createdAt.toISOString()}>{wholeTime(createdAt)}</time>;
}

/** A run that failed, or whose server is gone, can go on. */
function Stopped() {
  const store = useStore();
  const { chat, live, isStalled } = useChat();
  if (live || (chat?.status !== "failed" && !isStalled)) return null;
  return (
    <div className="stopped" role="alert">
      <Icon name="alert" />
      <span>{isStalled ? "This answer was cut off before its end." : "The assistant failed before its answer was complete."}</span>
      <button type="button" className="button" onClick={() => void store.resume({})}>
        {isStalled ? "Go on" : "Try again"}
      </button>
    </div>
  );
}

function Composer() {
  const { chat, live } = useChat();
  const isWaiting = chat?.status === "waiting" && !live;
  return (
    <ComposerPrimitive.Root className="composer">
      <ComposerPrimitive.Input
        className="composer-input"
        aria-label="Message"
        placeholder={isWaiting ? "Answer the approval first" : "Ask about the files"}
        maxRows={8}
        maxLength={8000}
        autoFocus
      />
      {live ? (
        <ComposerPrimitive.Cancel className="send" aria-label="Stop" title="Stop">
          <Icon name="stop" />
        </ComposerPrimitive.Cancel>
      ) : (
        <ComposerPrimitive.Send className="send" aria-label="Send" title="Send">
          <Icon name="send" />
        </ComposerPrimitive.Send>
      )}
    </ComposerPrimitive.Root>
  );
}
