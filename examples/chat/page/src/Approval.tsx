import { useState } from "react";
import type { Interrupt } from "./api";
import { useChat, useStore } from "./context";
import { Icon } from "./icons";
import { pretty } from "./ToolCard";

type Decision = { type: "approve" } | { type: "reject"; message?: string };

interface Action {
  name: string;
  args: Record<string, unknown>;
  description?: string;
}

/** What an interrupt asks, if it has the form of LangChain's `HumanInTheLoopMiddleware`. */
function actionsOf({ value }: Interrupt): Action[] | null {
  if (typeof value !== "object" || value === null || !("action_requests" in value)) return null;
  const found: unknown = value.action_requests;
  const isAction = (one: unknown): one is Action => typeof one === "object" && one !== null && "name" in one && "args" in one;
  return Array.isArray(found) && found.every(isAction) ? found : null;
}

/** What the run waits for. It is in the conversation's row, and so there again after a reload. */
export function Approvals() {
  const store = useStore();
  const { chat, live, isOnline } = useChat();
  const [decided, setDecided] = useState<Record<string, Decision>>({});
  const [reason, setReason] = useState("");
  const asked = chat?.status === "waiting" && !live ? (chat.waiting_for ?? []) : [];
  const decide = (one: Interrupt, decision: Decision) => {
    const now = { ...decided, [one.id]: decision };
    setDecided(now);
    if (!asked.every(({ id }) => id in now)) return;
    setDecided({});
    setReason("");
    void store.resume(Object.fromEntries(asked.map((each) => [each.id, answerOf(each, now[each.id]!)])));
  };
  return asked
    .filter((one) => !(one.id in decided))
    .map((one) => (
      <section key={one.id} className="approval" aria-label="Approval">
        <h2>
          <Icon name="shield" /> Your approval is needed
        </h2>
        <Question asked={one} />
        <label className="reason">
          <span className="hidden">Why not (optional)</span>
          <input className="field" placeholder="Why not? (optional, for a rejection)" value={reason} onChange={(event) => setReason(event.target.value)} />
        </label>
        <div className="approval-actions">
          <button type="button" className="button primary" disabled={!isOnline} onClick={() => decide(one, { type: "approve" })}>
            Approve
          </button>
          <button
            type="button"
            className="button"
            disabled={!isOnline}
            onClick={() => decide(one, { type: "reject", ...(reason.trim() ? { message: reason.trim() } : {}) })}
          >
            Reject
          </button>
        </div>
      </section>
    ));
}

function answerOf(asked: Interrupt, decision: Decision) {
  return { decisions: (actionsOf(asked) ?? [null]).map(() => decision) };
}

function Question({ asked }: { asked: Interrupt }) {
  const actions = actionsOf(asked);
  if (actions === null) return <pre tabIndex={0}>{pretty(asked.value)}</pre>;
  return actions.map((action, place) => (
    <div key={place} className="action">
      {action.description && <p>{action.description}</p>}
      <dl>
        <dt>Tool</dt>
        <dd>
          <code>{action.name}</code>
        </dd>
        {Object.entries(action.args).map(([name, value]) => (
          <div key={name} className="argument">
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  ));
}
