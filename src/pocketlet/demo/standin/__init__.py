"""A stand-in for a language model: it interprets controlled language behind OpenAI's chat completions.

A separate program (`python -m pocketlet.demo.standin`) that imports nothing of pocketlet. Its answer is a
pure function of the request's bytes. It knows no subject matter: all it can use stands in its context.

`wire` speaks HTTP, `prompt` reads a request, `family` holds the parameters in the model id, `language` reads
rules, `recipe` reads a skill, `compose` writes a text by both, `hats` chooses between `worker` (with its
`temptation`) and `manager`, and `answer` is what goes back.
"""
