import type { ToolCallMessagePartProps } from "@assistant-ui/react";
import { Icon, Spinner } from "./icons";
import { useChat } from "./context";

/** A tool call, folded: what was called, and inside its arguments and its result. */
export function ToolCard({ toolName, args, result, isError }: ToolCallMessagePartProps) {
  const { chat, live } = useChat();
  const isPending = result === undefined;
  const isWaiting = isPending && !live && chat?.status === "waiting";
  const state = isWaiting ? "waiting" : isPending ? (live ? "running" : "without a result") : isError ? "failed" : "done";
  return (
    <details className="tool-card" data-state={state}>
      <summary>
        <span className="tool-icon">
          {state === "running" ? <Spinner /> : <Icon name={state === "done" ? "tool" : state === "waiting" ? "shield" : "alert"} size={16} />}
        </span>
        <span className="tool-name">{toolName}</span>
        <span className="tool-args">{briefly(args)}</span>
        <span className="tool-state">{state}</span>
        <Icon name="chevron" size={16} />
      </summary>
      <div className="tool-body">
        <h3>Arguments</h3>
        <pre tabIndex={0}>{pretty(args)}</pre>
        {!isPending && (
          <>
            <h3>{isError ? "Error" : "Result"}</h3>
            <pre tabIndex={0}>{pretty(result)}</pre>
          </>
        )}
      </div>
    </details>
  );
}

export function briefly(args: Record<string, unknown>): string {
  return Object.entries(args)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

/** A value as indented JSON; text that holds JSON is read first. */
export function pretty(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value; // plain words
  }
}
