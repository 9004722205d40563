/** The page for agents: the list, and beside it the order that is open. The address holds which one that is. */
import { type ReactElement, useEffect, useState } from "react";
import type { Product } from "../catalogue.ts";
import { OrderEditor } from "./agent/order-editor.tsx";
import { firstQuery, OrderTable, type Query } from "./agent/order-table.tsx";
import { PageFrame, show } from "./parts/page-frame.tsx";
import { failureText } from "./parts/wording.ts";
import "./style/base.css";
import "./style/agent.css";
import "./style/panel.css";

const agents = ["Ada", "Ben", "Chiara"];

function AgentPage(): ReactElement {
  const [products, setProducts] = useState<readonly Product[]>([]);
  const [problem, setProblem] = useState("");
  const [agent, setAgent] = useState(sessionStorage.getItem("agent") ?? agents[0] ?? "");
  const [query, setQuery] = useState<Query>(firstQuery);
  const [chosen, setChosen] = useState(new URLSearchParams(location.search).get("order") ?? undefined);
  const [written, setWritten] = useState<readonly string[]>([]);
  useEffect(() => {
    fetch("/catalogue")
      .then(async (answer) => setProducts((await answer.json()) as Product[]))
      .catch((error: unknown) => setProblem(failureText(error)));
  }, []);
  useEffect(() => sessionStorage.setItem("agent", agent), [agent]);
  const choose = (order: string | undefined): void => {
    setChosen(order);
    const address = new URL(location.href);
    if (order === undefined) address.searchParams.delete("order");
    else address.searchParams.set("order", order);
    address.searchParams.delete("amendment");
    history.replaceState(null, "", address);
  };
  return (
    <PageFrame page="agent" aside={<AgentChoice agent={agent} setAgent={setAgent} />}>
      <main id="content" className="desk" data-open={chosen !== undefined} tabIndex={-1}>
        <h1 className="visually-hidden">Orders desk</h1>
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <OrderTable query={query} setQuery={setQuery} chosen={chosen} choose={choose} written={written} />
        {chosen === undefined ? (
          <section className="card desk-empty">
            <p className="quiet">Open an order to see what is in it, and to change it.</p>
          </section>
        ) : (
          <OrderEditor
            key={chosen}
            order={chosen}
            agent={agent}
            products={products}
            saved={(order) => setWritten((before) => [...before, order])}
            close={() => choose(undefined)}
          />
        )}
      </main>
    </PageFrame>
  );
}

function AgentChoice({ agent, setAgent }: { readonly agent: string; readonly setAgent: (agent: string) => void }): ReactElement {
  return (
    <label className="agent-choice">
      <span>Agent</span>
      <select value={agent} onChange={(event) => setAgent(event.target.value)}>
        {agents.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

show(<AgentPage />);
