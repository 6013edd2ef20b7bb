// The editor of the Logbook: SQL with completion, Markdown, and two texts side by side in one column.
// Built into static/vendor/codemirror.js by tools/vendor.py.
import {EditorState} from "@codemirror/state"
import {EditorView, drawSelection, highlightSpecialChars, keymap, lineNumbers, placeholder} from "@codemirror/view"
import {defaultKeymap, history, historyKeymap} from "@codemirror/commands"
import {HighlightStyle, bracketMatching, syntaxHighlighting} from "@codemirror/language"
import {autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap} from "@codemirror/autocomplete"
import {PostgreSQL, sql} from "@codemirror/lang-sql"
import {markdown} from "@codemirror/lang-markdown"
import {unifiedMergeView} from "@codemirror/merge"
import {tags as t} from "@lezer/highlight"

const look = EditorView.theme({
  "&": {color: "var(--ink)", backgroundColor: "var(--sheet)", fontSize: "12.5px", border: "1px solid var(--line)"},
  "&.cm-focused": {outline: "2px solid var(--spruce)", outlineOffset: "1px"},
  ".cm-scroller": {fontFamily: "var(--mono)", lineHeight: "1.55"},
  ".cm-content": {caretColor: "var(--ink)", padding: "8px 0"},
  ".cm-cursor": {borderLeftColor: "var(--ink)"},
  ".cm-gutters": {backgroundColor: "var(--well)", color: "var(--ink-3)", border: "none"},
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground":
    {backgroundColor: "var(--spruce-wash)"},
  ".cm-matchingBracket": {backgroundColor: "var(--spruce-wash)", outline: "1px solid var(--line-strong)"},
  ".cm-placeholder": {color: "var(--ink-3)"},
  ".cm-specialChar": {color: "var(--brick)"},
  ".cm-tooltip": {backgroundColor: "var(--sheet)", color: "var(--ink)", border: "1px solid var(--line-strong)"},
  ".cm-tooltip-autocomplete ul li[aria-selected]": {backgroundColor: "var(--spruce)", color: "var(--on-spruce)"},
  ".cm-completionDetail": {color: "inherit", fontStyle: "normal"},
  ".cm-changedLine": {backgroundColor: "var(--spruce-wash)"},
  ".cm-changedText": {background: "none", textDecoration: "underline", textDecorationColor: "var(--spruce)"},
  ".cm-changedLineGutter": {background: "var(--spruce)"},
  ".cm-deletedLineGutter": {background: "var(--brick)"},
  ".cm-deletedChunk": {backgroundColor: "var(--brick-wash)", paddingLeft: "6px"},
  ".cm-deletedChunk .cm-deletedText": {background: "none", textDecoration: "line-through"},
})

const roomy = EditorView.theme({".cm-content, .cm-gutter": {minHeight: "84px"}})

const ink = HighlightStyle.define([
  {tag: [t.keyword, t.operatorKeyword, t.modifier, t.typeName], color: "var(--spruce)", fontWeight: "600"},
  {tag: [t.string, t.special(t.string), t.number, t.bool, t.null], color: "var(--amber)"},
  {tag: [t.lineComment, t.blockComment, t.quote], color: "var(--ink-3)"},
  {tag: [t.name, t.propertyName], color: "var(--ink)"},
  {tag: [t.heading, t.strong], fontWeight: "600"},
  {tag: t.emphasis, fontStyle: "italic"},
  {tag: [t.link, t.url], color: "var(--slate)"},
  {tag: [t.processingInstruction, t.punctuation, t.meta], color: "var(--ink-3)"},
  {tag: t.monospace, color: "var(--slate)"},
])

function parts({language, schema, onchange, label, hint, nonce}) {
  const known = {dialect: PostgreSQL, schema: schema || {}}
  return [
    language === "sql" ? [lineNumbers(), sql(known)] : markdown({addKeymap: true}),
    history(), drawSelection(), highlightSpecialChars(), bracketMatching(), closeBrackets(),
    autocompletion({icons: false}),
    EditorView.lineWrapping, look, syntaxHighlighting(ink),
    // Tab is left alone: it leads out of the editor, as in every field.
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
    EditorView.contentAttributes.of({"aria-label": label || (language === "sql" ? "SQL" : "Text")}),
    hint ? placeholder(hint) : [],
    nonce ? EditorView.cspNonce.of(nonce) : [],
    onchange ? EditorView.updateListener.of(seen => seen.docChanged && onchange(seen.state.doc.toString())) : [],
  ]
}

// An editor in `parent`. options: language ("sql" or "markdown"), doc, schema ({table: [column]}), onchange(text),
// label (for those who don't see it), hint (shown while it is empty), nonce.
// The answer: view, text(), set(text), focus(), destroy().
export function make(parent, options = {}) {
  const view = new EditorView({parent, state: EditorState.create({doc: options.doc || "", extensions: [parts(options), roomy]})})
  return {
    view,
    text: () => view.state.doc.toString(),
    set: text => view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: text}}),
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  }
}

// What changed from `a` to `b`, in `parent`, to read: removed lines above those that came.
export function merge(parent, a, b, nonce, label) {
  const changed = unifiedMergeView({original: a, mergeControls: false, collapseUnchanged: {margin: 3, minSize: 6}})
  const reading = [EditorState.readOnly.of(true), EditorView.editable.of(false)]
  const named = {language: "markdown", label: label || "What changes", nonce}
  const focusable = EditorView.contentAttributes.of({tabindex: "0", "aria-readonly": "true"})
  return new EditorView({parent, state: EditorState.create({doc: b, extensions: [parts(named), reading, focusable, changed]})})
}
