/** One order of the list: opened, it shows what is in it; its customer may send it back. */
import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Product } from "../../catalogue.ts";
import { untilStopped } from "../parts/pace.ts";
import { client } from "../parts/shop-client.ts";
import { failureText, money } from "../parts/wording.ts";

type Summary = NonNullable<Awaited<ReturnType<typeof client.orderSummary.get>>["value"]>;

const reasons = ["It is not what I expected", "It arrived broken", "I ordered too much"];

export function OrderDetails(props: {
  readonly entry: { readonly order: string; readonly status: string; readonly total: number };
  readonly products: readonly Product[];
}): ReactElement {
  const { order, status, total } = props.entry;
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="order-row">
        <code>{order}</code>
        <span className="status" data-status={status}>
          {status}
        </span>
        <span className="number">{money(total)}</span>
      </summary>
      {open && <Opened key={`${order}-${status}-${total}`} {...props} />}
    </details>
  );
}

function Opened({ entry: { order, status }, products }: Parameters<typeof OrderDetails>[0]): ReactElement {
  const [summary, setSummary] = useState<Summary>();
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  const returning = asked || summary?.returning === true;
  const code = summary?.returnCode;
  useEffect(
    () =>
      untilStopped(
        async (signal) => {
          const show = (value: Summary | undefined): void => {
            if (value && !signal.aborted) setSummary(value);
          };
          // Whoever sends goods back waits for the code; it is asked for at the pace the server measured.
          const isComplete = (value: Summary | undefined): boolean => value !== undefined && (!asked || value.returnCode !== undefined);
          const until = { until: ({ value }: { value: Summary | undefined }) => isComplete(value), signal, timeout: "1h" } as const;
          show((await client.orderSummary.poll(order, { ...until, onAttempt: ({ reading }) => show(reading.value) })).value);
        },
        (error) => setProblem(failureText(error)),
      ),
    [order, asked],
  );
  const ask = async (reason: string): Promise<void> => {
    dialog.current?.close();
    setProblem("");
    try {
      const outcome = await client.orderReturn(order).request({ reason });
      if (outcome.kind === "rejected") setProblem(`The shop said no: ${outcome.reason}.`);
      else setAsked(true);
    } catch (error) {
      setProblem(failureText(error));
    }
  };
  const titleOf = (product: string): string => products.find((one) => one.product === product)?.title ?? product;
  return (
    <div className="order-details">
      <ul className="receipt">
        {(summary?.lines ?? []).map(({ product, quantity, price }) => (
          <li key={product}>
            <span>
              {quantity} × {titleOf(product)}
            </span>
            <span className="number">{money(quantity * price)}</span>
          </li>
        ))}
      </ul>
      {summary?.address && <p className="quiet">To {summary.address}</p>}
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {returning ? (
        <p className="return" role="status">
          Return asked for. {code ? "Write this code on the parcel: " : "Your return code is "}
          {code ? <code className="return-code">{code}</code> : <span className="pending">pending</span>}
        </p>
      ) : (
        status === "placed" && (
          <button type="button" className="small" onClick={() => dialog.current?.showModal()}>
            Send something back
          </button>
        )
      )}
      <ReturnDialog ref={dialog} order={order} ask={(reason) => void ask(reason)} />
    </div>
  );
}

function ReturnDialog(props: {
  readonly ref: React.Ref<HTMLDialogElement>;
  readonly order: string;
  readonly ask: (reason: string) => void;
}): ReactElement {
  const [reason, setReason] = useState(reasons[0] ?? "");
  const title = `return-title-${props.order}`;
  return (
    <dialog ref={props.ref} aria-labelledby={title}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          props.ask(reason);
        }}
      >
        <h2 id={title}>Send order {props.order} back</h2>
        <fieldset>
          <legend>What is the reason?</legend>
          {reasons.map((one) => (
            <label key={one} className="choice">
              <input type="radio" name={`reason-${props.order}`} checked={one === reason} onChange={() => setReason(one)} />
              {one}
            </label>
          ))}
        </fieldset>
        <div className="dialog-actions">
          <button type="button" onClick={(event) => event.currentTarget.closest("dialog")?.close()}>
            Keep it
          </button>
          <button type="submit" className="primary">
            Ask for the return
          </button>
        </div>
      </form>
    </dialog>
  );
}
