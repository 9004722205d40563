/** What all pages share: the way past the header, the header, and the panel at the foot. */
import { type ReactElement, type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { LagPanel } from "../panel/lag-panel.tsx";

export type PageName = "customer" | "agent" | "life";

export function PageFrame(props: { readonly page: PageName; readonly aside?: ReactNode; readonly children: ReactNode }): ReactElement {
  const { page, aside, children } = props;
  return (
    <>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="masthead">
        <a className="brand" href="/">
          <Mark />
          Kettle &amp; Loom
        </a>
        <nav aria-label="Pages">
          <a href="/" aria-current={page === "customer" ? "page" : undefined}>
            Shop
          </a>
          <a href="/agent" aria-current={page === "agent" ? "page" : undefined}>
            Orders desk
          </a>
          <a href="/life" aria-current={page === "life" ? "page" : undefined}>
            An order’s life
          </a>
        </nav>
        <div className="masthead-aside">{aside}</div>
      </header>
      <div className="page">{children}</div>
      <LagPanel page={page} />
    </>
  );
}

/** Puts a page into its document. */
export function show(page: ReactElement): void {
  const root = document.getElementById("page");
  if (!root) throw new Error("the document has no element #page");
  createRoot(root).render(<StrictMode>{page}</StrictMode>);
}

function Mark(): ReactElement {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M7 13h15v8a5 5 0 0 1-5 5h-5a5 5 0 0 1-5-5zM22 15h2a3 3 0 0 1 0 7h-2M11 9V6M14.5 9V5M18 9V6" />
    </svg>
  );
}
