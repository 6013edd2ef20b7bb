"""A stand-in for a language model: it interprets controlled language behind OpenAI's and Anthropic's wires.

A separate program (`python -m pocketlet.demo.standin`) that imports nothing of pocketlet. Its answer is a
pure function of the request's bytes. It knows no subject matter: all it can use stands in its context.

`wire` speaks HTTP, as `completions_wire` or `messages_wire` (both by `document`); `prompt` is what a request says,
`answer` what goes back, `family` the parameters in the model id. `language` reads rules, `recipe` a skill, `tables`
the list of tables; `compose` writes a text. `hats` chooses between `worker` (with its `temptation` and `precedent`),
`manager` (with its `scope` and `distortion`) and `chat` (with its `proposals`).
"""
