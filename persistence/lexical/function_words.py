"""The commonest words that only hold sentences together, by language, named as Snowball does.

They tell languages apart, and weigh little in a question. Cased and accented as the tokens are.
"""

from collections.abc import Mapping


def _of(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    "english": _of(
        "a about after all also am an and any are as at be because been before being but by can"
        " could did do does doing for from had has have having he her here hers him his how i if"
        " in into is it its itself just me more most my no nor not of on only or other our out"
        " over own same she should so some such than that the their them then there these they"
        " this those through to too under until up very was we were what when where which while"
        " who whom why will with would you your"
    ),
    "german": _of(
        "aber als also am an auch auf aus bei bin bis bist da damit dann das dass dem den der des"
        " die dies diese diesem diesen dieser dieses doch du durch ein eine einem einen einer"
        " eines er es euer für gegen hat hatte ich ihm ihn ihr ihre im in ist ja jede jeder kann"
        " kein keine man mein mit muss nach nicht noch nur ob oder ohne sehr sein seine sich sie"
        " sind so über um und uns unter vom von vor war waren was weil welche wenn wer werden"
        " wie wieviel wir wird wo wurde wurden zu zum zur zwischen"
    ),
    "french": _of(
        "à au aux avec ce ces cet cette comme comment d dans de des donc du elle elles en est et"
        " être eu il ils j je l la le les leur leurs lui ma mais me même mes moi mon n ne nos"
        " notre nous on ont ou où par pas plus pour pourquoi qu quand que quel quelle quels"
        " quelles qui quoi s sa sans se ses si son sont sur ta te tes toi ton très tu un une"
        " vos votre vous y était"
    ),
    "italian": _of(
        "a ad agli ai al alla alle allo anche c che chi ci come con cosa cui d da dagli dai dal"
        " dalla dalle dei degli del della delle dello di dove e è ed era essere fra gli ha hanno"
        " ho i il in io l la le lei lo loro lui ma mi mia mio ne nei negli nel nella nelle nello"
        " noi non nostro o ogni per perché più quale quali quando quanti quanto quella quello"
        " questa queste questi questo se si sia sono su sua sul sulla sulle suo tra tu tutti un"
        " una uno vi"
    ),
    "spanish": _of(
        "a al algo ante antes como cómo con cual cuál cuando cuándo cuánto cuántos de del desde"
        " donde dónde dos e el él ella ellos en entre era es esa ese eso esta está estas este"
        " esto estos fue ha han hasta hay la las le les lo los más me mi mis muy ni no nos o os"
        " otra otro para pero poco por porque que qué quien quién se según ser si sí sin sobre"
        " son su sus también te tiene tu un una uno unos y ya yo"
    ),
    "portuguese": _of(
        "a ao aos as às até com como da das de dela dele depois do dos e é ela elas ele eles em"
        " entre era essa esse esta está este eu foi há isso isto já lhe mais mas me mesmo meu"
        " minha muito na não nas nem no nos nós num numa o onde os ou para pela pelas pelo pelos"
        " por porque quais qual quando quantos que quem são se sem ser seu seus só sua suas"
        " também te tem um uma você"
    ),
    "dutch": _of(
        "aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch door dus"
        " een en er ge geen haar had heb hebben heeft hem het hier hij hoe hoeveel hun iets ik"
        " in is ja je kan kon maar me meer men met mij mijn na naar niet nog nu of om omdat ons"
        " onze ook op over reeds te tegen toch toen tot u uit uw van veel voor waar wanneer want"
        " waren was wat welke werd wezen wie wij worden wordt ze zich zij zijn zo zonder"
    ),
    "swedish": _of(
        "alla att av bara blev blir de dem den denna deras dess dessa det detta dig din du där"
        " efter ej eller en er ett från för ha hade han hans har hon hur här i icke inte jag"
        " kan man med men mig min mot mycket ni nu när något några och om oss på samma sedan sig"
        " sin sina skulle som så till under upp ut utan vad var varför vara vem vi vid vilka"
        " vilken över"
    ),
    "danish": _of(
        "af alle at blev bliver da de dem den denne der deres det dette dig din disse du efter"
        " eller en end er et for fra før ham han hans har havde hende her hos hun hvad hvem"
        " hvilken hvis hvor hvordan hvornår i ikke ind jeg kan man med meget men mig min mod"
        " mange nogle nu når og også om op os over på selv sig skal skulle som til ud under var"
        " vi vil ville være været"
    ),
    "norwegian": _of(
        "alle at av ble blir da de deg dem den denne der deres det dette di din disse du eller"
        " en enn er et etter for fra før ha hadde han hans har hennes her hun hva hvem hvilken"
        " hvis hvor hvordan hvorfor i ikke inn jeg kan man med meg men mer min mot mye ned noe"
        " noen nå når og også om opp oss over på samme seg sin skal skulle som så til under ut"
        " uten var ved vi vil være vært"
    ),
    "finnish": _of(
        "ei ja jos joka jossa että en et ennen hän he ilman itse joita jotka kanssa kuin kuinka"
        " kun me mikä missä mitä mukaan mutta myös ne niin niiden nyt ole oli olla on ovat"
        " poikki se sekä sen siis sitä sillä tai te tämä tämän vaan vain voi"
    ),
    "romanian": _of(
        "a acest această acesta ai al ale am ar are așa au ca că care ce cel cine cu cum când"
        " cât câte da de deci din după ea ei el este eu fi fără fost iar in în la le lor lui"
        " mai mea meu mi nici noi nu o ori pe pentru prin sa sau se și sunt tot un una unde unei"
        " unui va vor"
    ),
    "polish": _of(
        "a aby albo ale bez bo był była było być by co czy dla do gdy gdzie go i ich ile im ja"
        " jak jako jest jej jego jeszcze już kiedy kto która które którego który którzy ma mi na"
        " nad nie nim o od on ona one oni oraz po pod przed przez przy są się ta tak także tego"
        " tej ten też to tym u w we więc z za ze że"
    ),
    "czech": _of(
        "a aby ale ani až bez bude by byl byla bylo být co což či do i jak jako je jeho její"
        " jejich jen jeho jsem jsme jsou k kde kdo kdy kolik která které který ke má na nad ne"
        " nebo než o od po pod pokud pro proč protože před při s se si své ta tak také ten tento"
        " to tuto tím u už v ve však z za ze že"
    ),
    "hungarian": _of(
        "a az abban aki ami amely amit azt be csak de e egy ebben el én ez ezt fel hogy hogyan"
        " hol ha hanem hány is itt jól kell ki le lesz ma már meg még mely mert mi mikor milyen"
        " mint mit mivel más nem nincs ő ők olyan össze pedig s sem ti te úgy utolsó után vagy"
        " van vele volt"
    ),
    "turkish": _of(
        "acaba ama ancak bana bazı belki ben benim beri bir biri birşey biz bu bunu buna çok"
        " çünkü da daha de değil diye dolayı en gibi göre hangi hem her hiç için ile ise kadar"
        " kaç ki kim mi mu mı nasıl ne neden nedir nerede niçin o olan olarak sen siz şu tüm ve"
        " veya ya yani"
    ),
}
"""Other scripts tell their language by themselves."""
