"""The words of the drawn world: tasks and their steps, and what people say over them.

A step has phrases that fit into a frame ("now we {do}") and notes, which are sentences of
their own. Nothing here carries capitals or punctuation, as automatic subtitles do not.
"""

TASKS: dict[str, tuple[str, ...]] = {
    "brew tea": (
        "boil the water",
        "put the tea bag in the cup",
        "pour the hot water into the cup",
        "stir the tea",
        "wipe the table",
    ),
    "bake bread": (
        "pour the flour into the bowl",
        "pour the water into the bowl",
        "roll the dough",
        "bake the bread",
        "slice the bread",
        "wipe the table",
    ),
    "pot a plant": (
        "fill the pot with soil",
        "plant the flower",
        "water the flower",
        "trim the leaves",
        "wipe the table",
    ),
    "paint a fence": (
        "sand the fence",
        "hammer the nails",
        "open the paint can",
        "stir the paint",
        "paint the fence",
    ),
    "change a tyre": ("loosen the nuts", "jack up the car", "put on the wheel", "pump up the tyre"),
    "build a birdhouse": (
        "saw the board",
        "drill a hole",
        "hammer the nails",
        "drive the screws",
        "open the paint can",
        "paint the birdhouse",
    ),
    "wrap a gift": (
        "put the teddy in the box",
        "cut the paper",
        "fold the paper",
        "tape the paper",
        "tie the ribbon",
    ),
}

OUTDOORS = frozenset({"paint a fence", "change a tyre"})

TITLES = (
    "How to {task}",
    "How to {task} at home",
    "{task}: step by step",
    "The easy way to {task}",
    "Watch me {task}",
    "Beginners: how to {task}",
)

# A step; below it lines of its phrases and, after a dash, of its notes, both parted by bars.
_STEPS = """
boil the water
    boil the water in the kettle | put the kettle on the stove | heat the kettle over the flame
    bring the kettle to a boil
    - wait until the kettle is steaming | the stove should be on high so the water boils fast
    - you can see the steam coming out of the kettle
put the tea bag in the cup
    put the tea bag in the cup | drop a tea bag into the cup | dip the tea bag in the cup by its string
    take a tea bag and put it in your cup
    - let the string of the tea bag hang over the cup | one tea bag is enough for this cup
    - any tea bag will do
pour the hot water into the cup
    pour the hot water into the cup | pour the hot water from the kettle over the tea
    fill the cup with hot water | tilt the kettle and pour into the cup
    - pour slowly from the kettle so the cup does not spill | careful the kettle is hot
    - watch how the cup fills with tea
stir the tea
    stir the tea with a spoon | stir the cup with a wooden spoon | give the tea a good stir
    mix the tea with the spoon
    - keep stirring the tea in circles | the spoon goes round and round in the tea
    - the tea is nice and dark now
wipe the table
    wipe the table with a cloth | clean the table | wipe off the crumbs and the dirt with a cloth
    wipe up the spills on the table
    - the cloth picks up all the crumbs | a damp cloth gets the table clean
    - go over the table until it is clean
pour the flour into the bowl
    pour the flour into the bowl | tip the bag of flour into the mixing bowl | add the flour to the bowl
    empty the flour into the bowl
    - the flour will make some dust | use a big bowl for all that flour | that is one bag of white flour
pour the water into the bowl
    pour the water into the bowl | add water from the jug to the bowl | pour in the water from the jug
    empty the jug of water into the mixing bowl
    - the water in the jug should be lukewarm | keep pouring until the jug is almost empty
    - you can see the water run into the bowl
roll the dough
    roll the dough | roll out the dough with a rolling pin | flatten the dough with the rolling pin
    press the rolling pin into the dough
    - the dough gets flat and wide | move the rolling pin back and forth
    - put some flour under the dough so it does not stick
bake the bread
    bake the bread in the oven | put the loaf in the hot oven | leave the bread in the oven
    let the loaf bake in the oven
    - look through the oven window how the loaf rises | the oven should be really hot
    - the crust turns brown in the oven
slice the bread
    slice the bread with a knife | cut the loaf into slices | take the bread knife and cut the bread
    cut a few slices off the loaf
    - the knife goes through the crust of the loaf | a sharp knife makes clean slices of bread
    - look at those slices of bread
fill the pot with soil
    fill the pot with soil | shovel the soil into the pot | put some dirt in the flower pot
    scoop soil into the pot with a shovel
    - the shovel carries a lot of soil | the pot should be nearly full of dirt
    - use good soil for the pot
plant the flower
    plant the flower in the pot | set the flower into the soil | put the yellow flower in the pot
    push the roots of the flower into the soil
    - hold the flower by its stem | the roots have to be covered with soil
    - press the soil around the flower
water the flower
    water the flower | water the plant with the watering can | give the flower some water
    sprinkle water on the flower from the can
    - hold the watering can over the plant | the flower drinks a lot of water
    - do not drown the plant with the watering can
trim the leaves
    trim the leaves with scissors | cut off the leaves of the plant | snip a few leaves off the flower
    take the scissors and trim the plant
    - the old leaves fall down | the scissors snip right through the stem of a leaf
    - the flower grows better with fewer leaves
sand the fence
    sand the fence | sand the boards of the fence | rub the wood with sandpaper
    sand down the old wood of the fence
    - the sandpaper makes a lot of dust | the wood of the fence gets pale and smooth
    - go up and down each board with the sandpaper
hammer the nails
    hammer the nails into the board | hit the nails with a hammer | drive in the nails with the hammer
    nail it down with a hammer
    - swing the hammer and hit the nail on its head | three nails will hold the board
    - watch your fingers when you hammer
open the paint can
    open the paint can | open the can of paint with a screwdriver | pry the lid off the paint can
    take the lid off the can
    - the lid of the can comes off | that is a full can of blue paint
    - work the screwdriver under the lid
stir the paint
    stir the paint with a stick | stir the can of paint | mix the blue paint in the can
    give the paint a good stir
    - move the stick round and round in the paint | the paint in the can has to be smooth
    - the stick is covered with blue paint
paint the fence
    paint the fence | paint the boards of the fence blue | put paint on the fence with a brush
    brush the blue paint on the fence
    - the brush goes up and down the board | one board of the fence after the other turns blue
    - use a wide brush for the fence
loosen the nuts
    loosen the nuts with a wrench | turn the nuts of the wheel | undo the nuts on the wheel
    put the wrench on the nuts and turn
    - a long wrench makes it easy | there are five nuts on this wheel
    - the nuts of the wheel are very tight
jack up the car
    jack up the car | lift the car with the jack | raise the car with a jack
    crank the jack to lift the car
    - the car goes up bit by bit | the jack has to stand on firm ground under the car
    - never go under a car on a jack
put on the wheel
    put on the new wheel | put the spare wheel on the car | push the spare wheel onto the car
    mount the new wheel on the car
    - hold the wheel with both hands | line up the wheel with the bolts of the car
    - the spare wheel is pretty heavy
pump up the tyre
    pump up the tyre | pump air into the tyre | fill the tyre with air from a pump
    inflate the tyre with the pump
    - push the pump up and down | check the pressure on the pump | the tyre gets round and firm with air
saw the board
    saw the board | saw the wood in two | cut the board with a saw | saw through the wood
    - the saw goes back and forth | look at all the sawdust under the board
    - let the teeth of the saw do the work
drill a hole
    drill a hole | drill a hole in the wood | make the door of the birdhouse with the drill
    use the drill to make a round hole
    - the drill goes slowly into the wood | the hole should be big enough for a bird
    - the drill throws shavings everywhere
drive the screws
    drive the screws into the hinge | screw the hinge on with a screwdriver | turn in the screws
    tighten the screws with a screwdriver
    - the hinge has four screws | turn the screwdriver until the screw is in
    - brass screws look good on a hinge
paint the birdhouse
    paint the birdhouse | paint the birdhouse blue | put blue paint on the birdhouse with a brush
    brush some paint on the birdhouse
    - the brush goes around the door of the birdhouse | the birds will like this blue birdhouse
    - paint under the roof of the birdhouse too
put the teddy in the box
    put the teddy in the box | pack the teddy bear into the box | set the bear in the cardboard box
    lower the teddy into the box
    - the teddy bear fits into the box | a cardboard box keeps the bear safe
    - any box will do for a teddy bear
cut the paper
    cut the paper with scissors | cut the wrapping paper | take the scissors and cut the paper
    cut a sheet of wrapping paper
    - the scissors glide through the paper | leave enough paper on every side
    - sharp scissors cut the paper straight
fold the paper
    fold the paper over the box | fold the wrapping paper around the box
    fold in both sides of the paper | wrap the paper around the box
    - the paper should cover the whole box | make a sharp fold in the paper
    - first one side of the paper then the other
tape the paper
    tape the paper | stick down the paper with tape | tape up the box | put tape on the gift
    - pull the tape off the roll | a long strip of tape holds the paper
    - press the sticky tape flat on the gift
tie the ribbon
    tie the ribbon | tie a ribbon around the gift | make a bow with the ribbon
    tie a big bow on top of the present
    - pull both ends of the ribbon | the bow sits on top of the gift | the loops of the bow get bigger
"""


def _read(text: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    steps: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for row in text.strip().splitlines():
        if not row.startswith(" "):
            step, steps[row] = row, ((), ())
            continue
        does, notes = steps[step]
        parts = tuple(part.strip(" -") for part in row.split("|"))
        steps[step] = (does, notes + parts) if row.lstrip().startswith("-") else (does + parts, notes)
    return steps


PHRASES = _read(_STEPS)
"""Step -> (phrases, notes)."""

FRAMES = (
    "now {do}",
    "then we {do}",
    "next you want to {do}",
    "go ahead and {do}",
    "after that {do}",
    "I like to {do} slowly",
    "so the next step is to {do}",
    "okay here I {do} like this",
    "let's {do}",
    "what you do now is {do}",
    "and now we are going to {do}",
    "you just {do}",
    "it is time to {do}",
    "alright {do} now",
)

HELLO = (
    "hey everyone welcome back to my channel today I will show you how to {task}",
    "hi guys it is great to see you again let's {task} together",
    "hello and welcome in this video we {task}",
    "what is up everybody so many of you asked me how to {task}",
    "good morning friends do not forget to subscribe today we {task}",
)

BETWEEN = (
    "my grandmother taught me this when I was a kid",
    "let me know in the comments how it went for you",
    "before I forget hit the like button",
    "honestly I could do this all day long",
    "sorry about the noise my neighbour is home",
    "last week I tried it another way and it was a mess",
    "this video is not sponsored by the way",
    "somebody asked me where I got this shirt",
    "we have had such nice weather lately",
    "I get so many questions about that",
    "take your time there is no rush at all",
    "my friend says I talk too much",
    "the link is in the description below",
    "that reminds me of a funny story",
    "you will get better every time you try",
    "it really is easier than you think",
    "thank you all for ten thousand subscribers",
    "I was so nervous the first time",
)

GOODBYE = (
    "thanks for watching and I will see you next time",
    "that is it for today take care of yourselves",
    "if this helped you share it with a friend bye",
    "and that is how you do it see you soon",
)
