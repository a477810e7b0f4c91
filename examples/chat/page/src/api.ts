/** The chat's HTTP API: requests, answers, and the events of a run. */

const BASE = import.meta.env.VITE_API_URL.replace(/\/$/, "");
const EVENT_STREAM = "text/event-stream";
const TOKEN = "chat-token";

/** Whether the API is another host's, which takes a bearer token instead of a session cookie. */
export const takesToken = BASE !== "";

export type Status = "running" | "idle" | "waiting" | "failed";

export interface Interrupt {
  id: string;
  value: unknown;
}

export interface Summary {
  conversation_id: string;
  title: string;
  created_at: string;
  updated_at: string;
  message_count: number;
  status?: Status;
  status_at?: string;
  waiting_for?: Interrupt[];
}

export interface ToolCall {
  tool: string;
  args: Record<string, unknown>;
  result?: unknown;
  id?: string;
  status?: string;
}

export interface StoredMessage {
  id: string;
  role: string;
  content: string;
  timestamp: string;
  tool_calls?: ToolCall[];
}

export interface Conversation extends Summary {
  messages: StoredMessage[];
  /** The number of the first message at hand; null if that is the conversation's first. */
  before: number | null;
}

export interface Page {
  conversations: Summary[];
  cursor: string | null;
}

export type RunEvent =
  | { name: "run"; data: { conversation_id: string } }
  | { name: "token"; data: { message_id: string; text: string } }
  | { name: "tool_call"; data: { id: string; tool: string; args: Record<string, unknown> } }
  | { name: "tool_result"; data: { id: string; result: string; status: string } }
  | { name: "interrupt"; data: Interrupt }
  | { name: "end"; data: { conversation: Summary } }
  | { name: "error"; data: { status: number; type: string; detail: string } }
  | { name: "ping"; data: object };

/** The server's refusal of a request, in a sentence for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** No answer came: the server is down, or the network is. */
export class Unreachable extends Error {}

const isGatewayError = (status: number) => status === 502 || status === 503 || status === 504;

async function send(method: string, path: string, body?: unknown, more: RequestInit = {}): Promise<Response> {
  const headers = new Headers(more.headers);
  if (body !== undefined) headers.set("content-type", "application/json");
  // COGNITO: where the page has users of a pool, take their access token here (from Amplify's `fetchAuthSession`, say).
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.set("authorization", `Bearer ${token}`);
  const init: RequestInit = { ...more, method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Unreachable("The server does not answer.", { cause: error });
  }
  if (response.ok) return response;
  if (isGatewayError(response.status)) throw new Unreachable("The server does not answer.");
  throw await refusalOf(response);
}

async function refusalOf(response: Response): Promise<Refusal> {
  const type = response.headers.get("content-type") ?? "";
  const problem: { type?: string; detail?: string } = type.includes("json") ? await response.json() : {};
  return new Refusal(response.status, (problem.type ?? "").split(":").at(-1) ?? "", problem.detail ?? response.statusText);
}

const json = async <T>(response: Promise<Response>): Promise<T> => (await response).json();
const at = (id: string, rest = "") => `/conversations/${encodeURIComponent(id)}${rest}`;

export const session = () => json<{ user_id: string }>(send("GET", "/session"));
export const signIn = (name: string) => json<{ user_id: string }>(send("POST", "/session", { name }));
export const useToken = (token: string) => sessionStorage.setItem(TOKEN, token);

export async function signOut(): Promise<void> {
  sessionStorage.removeItem(TOKEN);
  if (!takesToken) await send("DELETE", "/session");
}

export function list(limit: number, cursor: string | null): Promise<Page> {
  const query = new URLSearchParams({ limit: String(limit), ...(cursor === null ? {} : { cursor }) });
  return json<Page>(send("GET", `/conversations?${query}`));
}

export function read(id: string, before: number | null, signal: AbortSignal): Promise<Conversation> {
  const query = new URLSearchParams({ limit: "50", ...(before === null ? {} : { before: String(before) }) });
  return json<Conversation>(send("GET", at(id, `?${query}`), undefined, { signal }));
}

export const rename = (id: string, title: string) => json<Summary>(send("PATCH", at(id), { title }));
export const remove = (id: string) => send("DELETE", at(id));
export const cancel = (id: string) => send("POST", at(id, "/cancel"));

export async function download(id: string, format: "markdown" | "json"): Promise<void> {
  const response = await send("GET", at(id, `/export?format=${format}`));
  const named = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = named?.[1] ?? `conversation.${format === "json" ? "json" : "md"}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

export interface Turn {
  message: string;
  conversation_id?: string;
  replaces?: string;
}

const streamed = (signal: AbortSignal): RequestInit => ({ signal, headers: { accept: `${EVENT_STREAM}, application/json` } });

export function say(turn: Turn, key: string, signal: AbortSignal): Promise<Response> {
  const { headers, ...rest } = streamed(signal);
  return send("POST", "/chat", turn, { ...rest, headers: { ...headers, "idempotency-key": key } });
}

export const resume = (id: string, answers: Record<string, unknown>, signal: AbortSignal) =>
  send("POST", at(id, "/resume"), { answers }, streamed(signal));

export const attach = (id: string, signal: AbortSignal) => send("GET", at(id, "/events"), undefined, streamed(signal));

/** The events of a run. A server that can't stream answers with the result, which is the event `end` alone. */
export async function* eventsOf(response: Response): AsyncGenerator<RunEvent> {
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith(EVENT_STREAM)) {
    const result: { conversation_id: string; conversation: Summary } = await response.json();
    yield { name: "run", data: { conversation_id: result.conversation_id } };
    yield { name: "end", data: { conversation: result.conversation } };
    return;
  }
  if (response.body === null) throw new Unreachable("The answer has no body.");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { done, value } = await nextOf(reader);
    if (done) throw new Unreachable("The answer broke off.");
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parsed(block);
      yield event;
      if (event.name === "end" || event.name === "error") return;
    }
  }
}

async function nextOf(reader: ReadableStreamDefaultReader<string>) {
  try {
    return await reader.read();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable("The answer broke off.", { cause: error });
  }
}

function parsed(block: string): RunEvent {
  const fields = new Map(block.split("\n").map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  return { name: fields.get("event"), data: JSON.parse(fields.get("data") ?? "{}") } as RunEvent;
}
