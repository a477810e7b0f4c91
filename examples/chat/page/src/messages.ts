/** What a thread shows: stored messages, and the answer that is being written. Pure. */

import type { ThreadMessageLike } from "@assistant-ui/react";
import type { RunEvent, StoredMessage, ToolCall } from "./api";

export interface CallPart {
  type: "call";
  id: string;
  tool: string;
  args: Record<string, unknown>;
  result?: unknown;
  isError: boolean;
  isPending: boolean;
}

export interface TextPart {
  type: "text";
  id: string;
  text: string;
}

export type Part = CallPart | TextPart;

export interface Shown {
  /** Its place in the conversation as opened: the same while the message is written and when it is stored. */
  key: string;
  role: "user" | "assistant" | "system";
  parts: Part[];
  createdAt: Date;
  /** Its id in the table; null until it is stored. */
  storedId: string | null;
  isRunning: boolean;
}

export const keyOf = (view: number, number: number) => `${view}.${number}`;

export function shownMessage(message: StoredMessage, key: string): Shown {
  const calls = (message.tool_calls ?? []).map(callPart);
  const text: Part[] = message.content ? [{ type: "text", id: `${key}:text`, text: message.content }] : [];
  return {
    key,
    role: message.role === "user" || message.role === "system" ? message.role : "assistant",
    parts: [...calls, ...text],
    createdAt: new Date(message.timestamp),
    storedId: message.id,
    isRunning: false,
  };
}

function callPart(call: ToolCall, number: number): CallPart {
  const isPending = call.result === undefined;
  return {
    type: "call",
    id: call.id ?? `call ${number}`,
    tool: call.tool,
    args: call.args,
    result: call.result,
    isError: call.status === "error",
    isPending,
  };
}

/** The parts of an answer after one more event. Calls that are known already are not repeated. */
export function grown(parts: Part[], event: RunEvent): Part[] {
  if (event.name === "token") {
    const { message_id: id, text } = event.data;
    const last = parts.at(-1);
    return last?.type === "text" && last.id === id
      ? [...parts.slice(0, -1), { ...last, text: last.text + text }]
      : [...parts, { type: "text", id, text }];
  }
  if (event.name === "tool_call") {
    const { id, tool, args } = event.data;
    if (parts.some((part) => part.type === "call" && part.id === id)) return parts;
    return [...parts, { type: "call", id, tool, args, isError: false, isPending: true }];
  }
  if (event.name === "tool_result") {
    const { id, result, status } = event.data;
    return parts.map((part) =>
      part.type === "call" && part.id === id ? { ...part, result, isError: status === "error", isPending: false } : part,
    );
  }
  return parts;
}

/** A message in assistant-ui's form. */
export function asThreadMessage(message: Shown): ThreadMessageLike {
  const content = message.parts.map((part) =>
    part.type === "text"
      ? { type: "text" as const, text: part.text }
      : {
          type: "tool-call" as const,
          toolCallId: part.id,
          toolName: part.tool,
          args: part.args as Record<string, never>,
          argsText: JSON.stringify(part.args, null, 2),
          ...(part.isPending ? {} : { result: part.result ?? null, isError: part.isError }),
        },
  );
  const common = { id: message.key, createdAt: message.createdAt, metadata: { custom: { storedId: message.storedId } } };
  if (message.role !== "assistant") return { ...common, role: message.role, content: textOf(message) };
  const status = message.isRunning
    ? ({ type: "running" } as const)
    : ({ type: "complete", reason: "stop" } as const);
  return { ...common, role: "assistant", content, status };
}

export const textOf = (message: Shown): string =>
  message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
