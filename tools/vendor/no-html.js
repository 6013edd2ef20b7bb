// Stands in for @codemirror/lang-html: Markdown here has no HTML inside, and no completion of tags.
import {parser} from "@lezer/markdown"
import {Language, LanguageSupport, defineLanguageFacet} from "@codemirror/language"

const plain = () => new LanguageSupport(new Language(defineLanguageFacet(), parser))
export const html = plain
export const htmlCompletionSource = () => null
