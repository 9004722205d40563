// The repository's own rules for oxlint; .oxlintrc.json loads this file.
import { checkDeterminism } from "./determinism-rule.ts";
import { checkLayers } from "./layer-rule.ts";

export default {
  meta: { name: "convergent" },
  rules: {
    layers: { create: checkLayers },
    determinism: { create: checkDeterminism },
  },
};
