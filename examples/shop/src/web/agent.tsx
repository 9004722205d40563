import { PageFrame, show } from "./parts/page-frame.tsx";
import "./style/base.css";
import "./style/panel.css";

show(
  <PageFrame page="agent">
    <main id="content" tabIndex={-1}>
      <h1>Orders desk</h1>
    </main>
  </PageFrame>,
);
