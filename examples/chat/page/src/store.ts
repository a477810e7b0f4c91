/** The page's state, and what changes it: the only module that asks the server for anything. */

import * as api from "./api";
import type { Conversation, RunEvent, Summary } from "./api";
import { grown, keyOf, shownMessage, textOf, type Part, type Shown } from "./messages";

const PAGE = 30;
/** A look at the newest conversations reads whole rows, which are billed: few of them, and not too often. */
const REFRESH_MS = 15_000;
const REFRESHED = 8;
const RETRY_MS = 1_500;
const POLL_MS = 1_000;
/** After so long without news, a run that no server says it has is taken for dead. */
const DEAD_MS = 30_000;
/** The index follows the table in less than a second; a new conversation is shown until it does. */
const INDEX_MS = 10_000;

/** The answer that is being written. */
interface Live {
  /** The number of the message that it is. */
  number: number;
  /** The question, as long as it is not stored. */
  question: Shown | null;
  parts: Part[];
}

export interface State {
  /** Undefined until the server has said; null if nobody is signed in. */
  user: string | null | undefined;
  isOnline: boolean;
  list: Summary[];
  cursor: string | null;
  isListLoaded: boolean;
  /** The open conversation; null for a new one. */
  open: string | null;
  /** Counts what was opened, also new conversations. */
  view: number;
  chat: Conversation | null;
  isLoading: boolean;
  live: Live | null;
  isStalled: boolean;
  notice: string | null;
}

const NOTHING: State = {
  user: undefined,
  isOnline: true,
  list: [],
  cursor: null,
  isListLoaded: false,
  open: null,
  view: 0,
  chat: null,
  isLoading: false,
  live: null,
  isStalled: false,
  notice: null,
};

/** The address of a conversation within the page. */
export const hashOf = (id: string) => `#/${encodeURIComponent(id)}`;

export class ChatStore {
  state: State = NOTHING;
  /** Puts words back that could not be sent; set by the composer. */
  restoreDraft: (text: string) => void = () => {};

  private readonly listeners = new Set<() => void>();
  private readonly channel = new BroadcastChannel("chat");
  private readonly removed = new Set<string>();
  private opened = new AbortController();
  private unsent: { text: string; key: string } | null = null;
  private isReconnecting = false;

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getState = () => this.state;

  start(): void {
    this.channel.onmessage = () => void this.guarded(() => this.refresh());
    window.addEventListener("hashchange", () => this.follow(location.hash));
    document.addEventListener("visibilitychange", () => this.look(PAGE));
    setInterval(() => this.look(REFRESHED), REFRESH_MS);
    void this.guarded(() => this.enter());
  }

  // The session.

  async enter(): Promise<void> {
    try {
      const { user_id: user } = await api.session();
      this.set({ user });
      this.follow(location.hash);
      await this.refresh();
    } catch (error) {
      if (!(error instanceof api.Refusal && error.status === 401)) throw error;
      this.set({ ...NOTHING, user: null });
    }
  }

  async signIn(name: string): Promise<void> {
    await this.guarded(async () => {
      if (api.takesToken) api.useToken(name);
      else await api.signIn(name);
      await this.enter();
    });
  }

  async signOut(): Promise<void> {
    await this.guarded(async () => {
      await api.signOut();
      this.opened.abort();
      history.replaceState(null, "", "#");
      this.set({ ...NOTHING, user: null });
    });
  }

  // The list.

  async refresh(limit = PAGE): Promise<void> {
    if (!this.state.user) return;
    const page = await api.list(limit, null);
    const { list, cursor } = this.state;
    const fresh = page.conversations.filter((one) => !this.removed.has(one.conversation_id));
    const ids = new Set(fresh.map((one) => one.conversation_id));
    const oldest = page.cursor === null ? "" : (fresh.at(-1)?.created_at ?? "");
    const isNew = (one: Summary) => Date.now() - Date.parse(one.created_at) < INDEX_MS;
    const kept = list.filter((one) => !ids.has(one.conversation_id));
    const before = kept.filter((one) => one.created_at > (fresh[0]?.created_at ?? "") && isNew(one));
    const after = page.cursor === null ? [] : kept.filter((one) => one.created_at < oldest);
    const isLonger = after.length > 0;
    this.set({ list: [...before, ...fresh, ...after], cursor: isLonger ? cursor : page.cursor, isListLoaded: true });
    await this.catchUp(fresh);
  }

  async more(): Promise<void> {
    const { cursor } = this.state;
    if (cursor === null) return;
    await this.guarded(async () => {
      const page = await api.list(PAGE, cursor);
      const known = new Set(this.state.list.map((one) => one.conversation_id));
      const added = page.conversations.filter((one) => !known.has(one.conversation_id));
      this.set({ list: [...this.state.list, ...added], cursor: page.cursor });
    });
  }

  async rename(id: string, title: string): Promise<void> {
    await this.guarded(async () => this.note(await api.rename(id, title)));
    this.channel.postMessage(id);
  }

  async remove(id: string): Promise<void> {
    await this.guarded(async () => {
      await api.remove(id);
      this.removed.add(id);
      this.set({ list: this.state.list.filter((one) => one.conversation_id !== id) });
      if (this.state.open === id) this.show(null);
      this.channel.postMessage(id);
    });
  }

  async download(id: string, format: "markdown" | "json"): Promise<void> {
    await this.guarded(() => api.download(id, format));
  }

  // The open conversation.

  /** Open a conversation, or a new one; the address says which, so that a reload and the history find it. */
  show(id: string | null): void {
    const hash = id === null ? "" : hashOf(id);
    if (location.hash !== hash) history.pushState(null, "", hash || "#");
    this.follow(hash);
  }

  async loadEarlier(): Promise<void> {
    const { chat } = this.state;
    if (chat?.before == null) return;
    await this.guarded(async () => {
      const page = await api.read(chat.conversation_id, chat.before, this.opened.signal);
      const now = this.state.chat;
      if (now?.before === chat.before) {
        this.set({ chat: { ...now, messages: [...page.messages, ...now.messages], before: page.before } });
      }
    });
  }

  /** Say something; in place of an earlier message of the user's, if its key is given. */
  async say(text: string, replaced: string | null): Promise<void> {
    const messages = shownOf(this.state);
    const place = messages.findIndex((one) => one.key === replaced);
    const kept = place < 0 ? messages : messages.slice(0, place);
    const { chat, open } = this.state;
    const number = (chat?.before ?? 0) + kept.length;
    const question = questionOf(text, keyOf(this.state.view, number));
    const turn: api.Turn = { message: text };
    if (open !== null) turn.conversation_id = open;
    const storedId = messages[place]?.storedId;
    if (storedId) turn.replaces = storedId;
    const was = chat;
    if (chat) this.set({ chat: { ...chat, messages: chat.messages.slice(0, kept.length) } });
    const key = this.unsent?.text === text ? this.unsent.key : crypto.randomUUID();
    this.unsent = { text, key };
    await this.run({ number: number + 1, question, parts: [] }, (signal) => api.say(turn, key, signal), () => {
      if (was && this.state.open === was.conversation_id) this.set({ chat: was });
      const former = messages[place];
      if (!former || textOf(former) !== text) this.restoreDraft(text);
    });
  }

  /** Ask for another answer to the question before the message of this key. */
  async again(key: string): Promise<void> {
    const messages = shownOf(this.state);
    const place = messages.findIndex((one) => one.key === key);
    const question = messages.slice(0, place + 1).findLast((one) => one.role === "user");
    if (question) await this.say(textOf(question), question.key);
  }

  /** Answer what the conversation waits for; or without answers, let a run go on that failed or was cut off. */
  async resume(answers: Record<string, unknown>): Promise<void> {
    const { open } = this.state;
    if (open === null) return;
    await this.run(this.continued(), (signal) => api.resume(open, answers, signal), () => {});
  }

  async cancel(): Promise<void> {
    const { open } = this.state;
    if (open !== null) await this.guarded(() => api.cancel(open));
  }

  dismiss(): void {
    this.set({ notice: null });
  }

  // How it is done.

  private set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }

  private look(limit: number): void {
    if (document.visibilityState === "visible" && this.state.user && this.state.isOnline) {
      void this.guarded(() => this.refresh(limit));
    }
  }

  private follow(hash: string): void {
    const id = decodeURIComponent(/^#\/(.+)$/.exec(hash)?.[1] ?? "") || null;
    if (id === this.state.open && (id === null ? this.state.live === null : this.state.chat !== null)) return;
    this.opened.abort();
    this.opened = new AbortController();
    this.set({ open: id, view: this.state.view + 1, chat: null, live: null, isStalled: false, isLoading: id !== null });
    if (id !== null && this.state.user) void this.guarded(() => this.load(id));
  }

  /** Read a conversation again, and follow its run if it has one. */
  private async load(id: string): Promise<void> {
    const { signal } = this.opened;
    try {
      const chat = await api.read(id, null, signal);
      if (signal.aborted) return;
      this.note(chat);
      const isDead = chat.status === "running" && Date.now() - Date.parse(chat.status_at ?? "") > DEAD_MS;
      this.set({ chat, live: null, isLoading: false, isStalled: false });
      if (chat.status === "running") await this.attach(chat, isDead, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.set({ isLoading: false });
      if (!(error instanceof api.Refusal && error.status === 404)) throw error;
      this.show(null);
      this.set({ notice: "This conversation is not there any more." });
    }
  }

  private async attach(chat: Conversation, isDead: boolean, signal: AbortSignal): Promise<void> {
    let response: Response | null = null;
    try {
      response = await api.attach(chat.conversation_id, signal);
    } catch (error) {
      if (!(error instanceof api.Refusal)) throw error; // this server has no run of it, or does not stream
    }
    if (response !== null) {
      const run = response;
      await this.run(this.continued(), () => Promise.resolve(run), () => {});
    } else if (isDead) {
      this.set({ isStalled: true });
    } else {
      this.set({ live: this.continued() });
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (!signal.aborted) await this.load(chat.conversation_id);
    }
  }

  /** The answer that goes on: its calls are known already, its words come with the events. */
  private continued(): Live {
    const { chat } = this.state;
    const count = (chat?.before ?? 0) + (chat?.messages.length ?? 0);
    const last = chat?.messages.at(-1);
    if (!chat || !last || last.role === "user") return { number: count, question: null, parts: [] };
    const shown = shownMessage(last, keyOf(this.state.view, count - 1));
    return { number: count - 1, question: null, parts: shown.parts.filter((part) => part.type === "call") };
  }

  private async run(live: Live, begin: (signal: AbortSignal) => Promise<Response>, undo: () => void): Promise<void> {
    const { signal } = this.opened;
    this.set({ live, isStalled: false, notice: null });
    let hasBegun = false;
    try {
      const response = await begin(signal);
      hasBegun = true;
      this.unsent = null;
      for await (const event of api.eventsOf(response)) {
        if (signal.aborted) return;
        await this.apply(event);
      }
      this.channel.postMessage(this.state.open);
      if (this.state.open !== null) await this.load(this.state.open);
    } catch (error) {
      if (signal.aborted) return;
      if (!hasBegun) {
        this.set({ live: null });
        undo();
      }
      await this.failed(error);
      if (error instanceof api.Refusal && this.state.open !== null) await this.guarded(() => this.load(this.state.open!));
    }
  }

  private async apply(event: RunEvent): Promise<void> {
    const { live } = this.state;
    if (event.name === "run" && this.state.open === null) {
      const id = event.data.conversation_id;
      history.replaceState(null, "", hashOf(id));
      this.set({ open: id });
      this.note(begun(id, live?.question ? textOf(live.question) : ""));
    } else if (event.name === "end") {
      this.note(event.data.conversation);
    } else if (event.name === "error") {
      this.set({ notice: event.data.detail });
    } else if (live) {
      this.set({ live: { ...live, parts: grown(live.parts, event) } });
    }
    if (event.name === "run") this.channel.postMessage(event.data.conversation_id);
  }

  /** Let the list have what is known of a conversation. */
  private note(summary: Summary): void {
    const { conversation_id: id, title, created_at, updated_at, message_count, status, status_at } = summary;
    const noted = { conversation_id: id, title, created_at, updated_at, message_count } as Summary;
    Object.assign(noted, { status, status_at });
    const { list, chat } = this.state;
    const isKnown = list.some((one) => one.conversation_id === id);
    const isNewest = created_at > (list[0]?.created_at ?? "");
    if (isKnown) this.set({ list: list.map((one) => (one.conversation_id === id ? noted : one)) });
    else if (isNewest) this.set({ list: [noted, ...list] });
    if (chat?.conversation_id === id) this.set({ chat: { ...chat, title } });
  }

  /** Another tab or device may have gone on with the open conversation. */
  private async catchUp(fresh: Summary[]): Promise<void> {
    const { chat, live, isStalled } = this.state;
    const listed = fresh.find((one) => one.conversation_id === chat?.conversation_id);
    if (!chat || !listed || live || isStalled) return;
    const isNewer = (listed.status_at ?? "") > (chat.status_at ?? "") || listed.updated_at > chat.updated_at;
    if (isNewer) await this.load(chat.conversation_id);
    else if (listed.title !== chat.title) this.set({ chat: { ...chat, title: listed.title } });
  }

  private async guarded(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.failed(error);
    }
  }

  private async failed(error: unknown): Promise<void> {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (error instanceof api.Unreachable) {
      void this.reconnect();
    } else if (error instanceof api.Refusal) {
      if (error.status === 401) this.set({ ...NOTHING, user: null });
      this.set({ notice: error.status === 401 ? null : error.message });
    } else {
      this.set({ notice: "Something went wrong in this page." });
      throw error;
    }
  }

  /** Try until the server answers again; then everything that is shown is read anew. */
  private async reconnect(): Promise<void> {
    this.set({ isOnline: false });
    if (this.isReconnecting) return;
    this.isReconnecting = true;
    while (!this.state.isOnline) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      try {
        await this.enter();
        this.set({ isOnline: true });
      } catch (error) {
        if (error instanceof api.Unreachable) continue;
        this.set({ isOnline: true });
        await this.failed(error);
      }
    }
    this.isReconnecting = false;
    if (this.state.user && this.state.open !== null) await this.guarded(() => this.load(this.state.open!));
  }
}

/** A conversation of which the server has not said anything yet. */
function begun(id: string, question: string): Summary {
  const now = new Date().toISOString();
  const title = question.split("\n", 1)[0]!.slice(0, 80);
  return { conversation_id: id, title, created_at: now, updated_at: now, message_count: 1, status: "running", status_at: now };
}

function questionOf(text: string, key: string): Shown {
  const parts: Part[] = [{ type: "text", id: `${key}:text`, text }];
  return { key, role: "user", parts, createdAt: new Date(), storedId: null, isRunning: false };
}

let memo: { chat: Conversation | null; live: Live | null; view: number; shown: Shown[] } | null = null;

/** The messages of the open conversation, with the answer that is being written. */
export function shownOf(state: State): Shown[] {
  const { chat, live, view } = state;
  if (memo && memo.chat === chat && memo.live === live && memo.view === view) return memo.shown;
  const first = chat?.before ?? 0;
  const stored = (chat?.messages ?? []).map((message, place) => shownMessage(message, keyOf(view, first + place)));
  const shown = live ? [...stored.slice(0, live.number - first - (live.question ? 1 : 0)), ...liveOf(view, live)] : stored;
  memo = { chat, live, view, shown };
  return shown;
}

function liveOf(view: number, live: Live): Shown[] {
  const answer: Shown = {
    key: keyOf(view, live.number),
    role: "assistant",
    parts: live.parts,
    createdAt: new Date(),
    storedId: null,
    isRunning: true,
  };
  return live.question ? [live.question, answer] : [answer];
}
