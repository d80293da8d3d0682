"""Which language a video is narrated in: English is never lost, others are, too few words pass."""

import csv
import json
import re
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellvision.corpus import language, subtitles
from tellvision.corpus.captions import CaptionConfig, without_stop_words
from tellvision.records import Cue, InputError, Skip

OTHERS = {
    "de": (
        "Heute zeige ich euch, wie man ein einfaches Brot backt. Zuerst geben wir das Mehl in eine große "
        "Schüssel und machen in der Mitte eine kleine Mulde. Dann kommt die Hefe mit etwas lauwarmem Wasser "
        "hinein, und wir rühren alles vorsichtig um. Der Teig muss jetzt ungefähr eine Stunde ruhen, bis er "
        "doppelt so groß ist."
    ),
    "fr": (
        "Bonjour à tous, aujourd'hui nous allons préparer une tarte aux pommes comme la faisait ma "
        "grand-mère. On commence par éplucher les pommes, puis on les coupe en tranches assez fines. Ensuite "
        "vous étalez la pâte dans le moule et vous mettez le tout au four pendant quarante minutes."
    ),
    "es": (
        "Hola a todos, hoy vamos a arreglar una silla vieja que estaba en el garaje. Primero quitamos los "
        "tornillos y lijamos la madera con mucho cuidado. Después ponemos un poco de cola en cada pata y "
        "dejamos que se seque toda la noche. Si no tienen prensas pueden usar una cuerda."
    ),
    "pt": (
        "Olá pessoal, hoje eu vou mostrar como trocar o pneu do carro sem ajuda de ninguém. Primeiro você "
        "solta as porcas um pouquinho, ainda com o carro no chão. Depois coloca o macaco no lugar certo e "
        "levanta devagar. Não esqueça de puxar o freio de mão antes de começar."
    ),
    "it": (
        "Ciao a tutti, oggi prepariamo insieme la pasta fresca fatta in casa. Mettiamo la farina sul tavolo, "
        "facciamo un buco nel mezzo e rompiamo dentro le uova. Poi si impasta con le mani per dieci minuti "
        "finché non diventa liscia. Lasciamola riposare sotto un panno umido."
    ),
    "nl": (
        "Hallo allemaal, vandaag laat ik jullie zien hoe je een lekke band plakt. Eerst haal je het wiel van "
        "de fiets en dan trek je de binnenband eruit. Je zoekt het gaatje in een bak met water en maakt de "
        "plek goed droog. Daarna doe je er een beetje lijm op en wacht je vijf minuten."
    ),
    "sv": (
        "Hej allihopa, idag ska vi bygga en fågelholk av gamla brädor som låg i förrådet. Först sågar vi "
        "till bitarna så att de blir lika långa, och sedan borrar vi ett hål i framsidan. Glöm inte att "
        "slipa kanterna innan du skruvar ihop allting."
    ),
    "pl": (
        "Cześć wszystkim, dzisiaj pokażę wam, jak zrobić pierogi z ziemniakami i serem. Najpierw gotujemy "
        "ziemniaki, a potem dokładnie je ugniatamy. Ciasto musi być cienkie, ale nie za cienkie, bo inaczej "
        "się rozerwie podczas gotowania w wodzie."
    ),
    "tr": (
        "Herkese merhaba, bugün sizlere evde kolayca yoğurt yapmayı göstereceğim. Önce sütü kaynatıyoruz, "
        "sonra biraz soğumasını bekliyoruz. İçine bir kaşık yoğurt koyup karıştırıyoruz ve üzerini kalın bir "
        "örtüyle kapatıyoruz. Sabaha kadar hiç kımıldatmadan bekletin."
    ),
    "id": (
        "Halo semuanya, hari ini saya akan menunjukkan cara membuat nasi goreng yang enak dan mudah. Pertama "
        "kita panaskan sedikit minyak, lalu masukkan bawang merah dan bawang putih yang sudah diiris. "
        "Setelah harum baru kita masukkan nasinya dan aduk sampai rata."
    ),
    "ru": (
        "Всем привет, сегодня мы будем чинить старый велосипед. Сначала снимаем переднее колесо и смотрим, в "
        "каком состоянии покрышка. Потом надо хорошо смазать цепь и проверить тормоза. Если всё сделать "
        "аккуратно, он прослужит ещё много лет."
    ),
    "uk": (
        "Привіт усім, сьогодні ми приготуємо справжній український борщ. Спочатку чистимо буряк і нарізаємо "
        "його тоненькими смужками. Потім додаємо капусту, моркву та картоплю, і варимо все разом на "
        "повільному вогні, доки овочі не стануть м'якими."
    ),
    "ar": (
        "مرحبا بكم جميعا، اليوم سوف نتعلم كيف نصنع الخبز في البيت بطريقة سهلة. نضع الدقيق في وعاء كبير ثم "
        "نضيف الماء والملح والخميرة ونعجن جيدا. نترك العجين يرتاح ساعة كاملة قبل أن ندخله إلى الفرن الساخن."
    ),
    "hi": (
        "नमस्ते दोस्तों, आज हम घर पर आसान तरीके से पनीर बनाना सीखेंगे। सबसे पहले दूध को अच्छी तरह उबाल लीजिए "
        "और फिर उसमें नींबू का रस डालिए। जब दूध फट जाए तो उसे कपड़े में छान लीजिए और थोड़ी देर के लिए भारी "
        "चीज़ के नीचे रख दीजिए।"
    ),
    "zh": (
        "大家好，今天我来教大家怎么做西红柿炒鸡蛋。先把鸡蛋打到碗里，加一点点盐，用筷子搅拌均匀。然后把西红"
        "柿洗干净切成小块。锅里放油，油热了以后把鸡蛋倒进去，炒到金黄色就可以盛出来。最后把西红柿炒软，再把"
        "鸡蛋放回去一起翻炒。喜欢吃甜的朋友可以放一点糖。"
    ),
    "ja": (
        "皆さんこんにちは。今日は家にある材料だけで簡単にできる親子丼の作り方を紹介します。まず玉ねぎを薄く"
        "切って、鶏肉は一口大に切ってください。フライパンにだし汁と醤油を入れて火にかけ、沸騰したら具材を加"
        "えます。最後に溶き卵を回し入れて、ふたをして一分待ちます。"
    ),
    "ko": (
        "안녕하세요 여러분 오늘은 집에서 쉽게 만들 수 있는 김치찌개를 소개해 드릴게요. 먼저 돼지고기를 한입 "
        "크기로 썰어서 냄비에 넣고 볶아 주세요. 그다음 잘 익은 김치를 넣고 물을 부은 다음 이십 분 정도 "
        "끓이면 됩니다. 마지막에 두부와 파를 넣어 주세요."
    ),
}
LATIN_HINDI = (
    "namaste doston aaj main aapko batane wala hoon ki ghar par paneer kaise banate hain sabse pehle "
    "doodh ko achhe se ubaal lijiye phir usme nimbu ka ras daliye jab doodh phat jaye to use kapde mein "
    "chaan lijiye aur thodi der ke liye kisi bhaari cheez ke neeche rakh dijiye uske baad aapka paneer "
    "taiyaar hai video pasand aaye to like kijiye"
)
ENGLISH = (
    "hey guys so today I'm going to show you how to fix this old chair first take out the screws and "
    "then sand the wood really carefully put a bit of glue on each leg and let it dry overnight"
)


def lines(text, words=7):
    """The text as subtitle lines; text without spaces by characters."""
    parts = text.split()
    rows = [" ".join(parts[i : i + words]) for i in range(0, len(parts), words)]
    return [Cue(i, i + 1, row) for i, row in enumerate(rows)]


def spoken(text):
    """As recognised speech is written: no capitals, no punctuation."""
    return re.sub(r"[.,;:!?।。、，]", " ", text.lower())


@pytest.mark.parametrize("code", OTHERS)
def test_other_languages_are_told(code):
    for text in (OTHERS[code], spoken(OTHERS[code])):
        with pytest.raises(Skip, match=rf"other_language: narrated in {code} \(\d+% sure\), not in en") as skip:
            language.check(lines(text), "en")
        assert skip.value.reason == "other_language"
        language.check(lines(text), code)
        language.check(lines(text), "any")


def test_hindi_in_latin_letters_is_no_english():
    with pytest.raises(Skip, match="other_language"):
        language.check(lines(LATIN_HINDI), "en")


def test_english_passes_and_is_other_where_another_is_wanted():
    language.check(lines(ENGLISH), "en")
    language.check(lines(ENGLISH), "any")
    with pytest.raises(Skip, match=r"other_language: narrated in en \(\d+% sure\), not in de"):
        language.check(lines(ENGLISH), "de")


@pytest.mark.parametrize(
    "text", ["", "♪", "ja und nein", "guten Tag meine Damen und Herren willkommen", "1 2 3 " * 100]
)
def test_too_few_words_to_tell_pass(text):
    language.check(lines(text), "en")


def test_no_cues_pass():
    language.check([], "en")


@pytest.mark.parametrize(
    "text",
    [
        "Barbell Squat Cable Crossover Romanian Deadlift Kettlebell Snatch Incline Press Plank Leg Curl Pulldown",
        "2 cups flour 1 tsp salt 3 eggs half cup sugar vanilla extract baking powder butter walnuts",
        "okay yeah okay cool nice okay wow yeah nice great cool okay nice yeah good okay great perfect nice",
        "Jamie Gordon Nigella Heston Alton Brown Ray cook chicken tikka masala lasagna tiramisu ramen",
    ],
)
def test_english_without_its_common_words_passes(text):
    language.check(lines(text), "en")


def test_which_and_how_sure():
    code, probability = language.detect(OTHERS["de"])
    assert code == "de"
    assert 0.99 < probability <= 1
    assert language.detect(ENGLISH)[0] == "en"
    assert 0 <= language.detect("")[1] <= 1


def test_the_codes_are_the_detectors():
    assert set(language._identifier().labels) >= language.LANGUAGES
    assert set(OTHERS) < language.LANGUAGES


@pytest.mark.parametrize("code", ["", "xx", "EN", "english", "deu", "en-US"])
def test_unknown_codes_are_named(code):
    with pytest.raises(InputError, match=re.escape(f"language={code!r}") + ".*such as en, de.*any"):
        language.check([], code)
    with pytest.raises(InputError, match=re.escape(f"language={code!r}")):
        CaptionConfig(language=code)


def test_sounds_are_no_language():
    german = [
        Cue(i, i + 1, f"[Music playing in the background] {cue.text}") for i, cue in enumerate(lines(OTHERS["de"]))
    ]
    with pytest.raises(Skip, match="narrated in de"):
        language.check(german, "en")
    language.check([Cue(i, i + 1, "[тревожная музыка играет громко]") for i in range(100)], "en")


def test_english_is_read_without_the_detector():
    """Nearly every video: neither the third of a second that the table takes nor its memory."""
    program = (
        "import sys; from tellvision.corpus.language import check; from tellvision.records import Cue;"
        f"check([Cue(0, 9, {ENGLISH!r})], 'en'); print('py3langid' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(Cue, st.just(0.0), st.just(1.0), st.text(max_size=300)), max_size=8))
def test_any_text_passes_or_is_skipped(cues):
    with suppress(Skip):
        language.check(cues, "en")


def test_a_megabyte_and_a_million_cues_are_sampled():
    language.check([Cue(0, 1, "one and two " * 100_000)], "en")
    language.check([Cue(0, 1, "so and so")] * 1_000_000, "en")
    with pytest.raises(Skip):
        language.check([Cue(0, 1, OTHERS["de"] * 4000)], "en")


def narrations(folder):
    """English as people caption it: (name, lines), from every file of real data that holds some."""
    for path in sorted((folder / "youtube_rolling_captions").glob("*.vtt")):
        yield path.name, [cue.text for cue in subtitles.read(path)]
    videos = defaultdict(list)
    with (folder / "cooking_asr" / "Video_data_all.csv").open(
        encoding="utf-8", errors="replace", newline=""
    ) as file:
        for row in csv.DictReader(file):
            videos[row["VideoUrl"]].append(row["Sentence"])
    yield from videos.items()
    exercises = [json.loads(path.read_text()) for path in sorted((folder / "exercises").glob("*.json"))]
    yield from ((exercise["name"], exercise["instructions"]) for exercise in exercises)
    written = {"names of exercises": [exercise["name"] for exercise in exercises]}
    for name, column in (("youcook2/validation_youcook", "text"), ("msrvtt/msrvtt_test", "sentence")):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            written[name] = [row[column] for row in csv.DictReader(file)]
    for name, texts in written.items():
        for size in (5, 10, 20, 200):
            yield from ((f"{name} {i}", texts[i : i + size]) for i in range(0, len(texts), size))


def test_no_english_is_skipped(real_data):
    number = 0
    for name, texts in narrations(real_data):
        number += 1
        try:
            language.check([Cue(0, 1, text) for text in texts], "en")
            language.check(
                [Cue(0, 1, without_stop_words(text)) for text in texts], "en"
            )  # as released captions are
        except Skip as skip:
            pytest.fail(f"{name}: {skip}: {texts[:5]}")
    assert number > 2000


def test_english_is_not_mixed_up_with_the_others(real_data):
    """Recognised English is another language wherever another is wanted."""
    cues = subtitles.read(sorted((real_data / "youtube_rolling_captions").glob("*.vtt"))[0])
    for code in ("de", "nl", "hi"):
        with pytest.raises(Skip, match="narrated in en"):
            language.check(cues, code)
