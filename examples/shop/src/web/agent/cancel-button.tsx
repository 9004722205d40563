/** Cancelling an order: with a reason, because stock, payment and parcel follow and cannot be called back. */
import { type ReactElement, useRef, useState } from "react";

const reasons = ["The customer changed their mind", "It was ordered twice", "We cannot deliver"];

export function CancelButton(props: {
  readonly order: string;
  readonly disabled: boolean;
  readonly cancel: (reason: string) => void;
}): ReactElement {
  const { order, disabled, cancel } = props;
  const [reason, setReason] = useState(reasons[0] ?? "");
  const dialog = useRef<HTMLDialogElement>(null);
  const close = (): void => dialog.current?.close();
  return (
    <>
      <button type="button" className="danger" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        Cancel order
      </button>
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <h2 id="cancel-title">Cancel order {order}</h2>
        <fieldset>
          <legend>What is the reason? Goods and money are released, the parcel is stopped.</legend>
          {reasons.map((one) => (
            <label key={one} className="choice">
              <input type="radio" name="cancel-reason" checked={one === reason} onChange={() => setReason(one)} />
              {one}
            </label>
          ))}
        </fieldset>
        <div className="dialog-actions">
          <button type="button" onClick={close}>
            Keep it
          </button>
          <button
            type="button"
            className="danger"
            onClick={() => {
              close();
              cancel(reason);
            }}
          >
            Cancel the order
          </button>
        </div>
      </dialog>
    </>
  );
}
